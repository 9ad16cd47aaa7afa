import { describe, expect, it } from 'vitest';
import { logIn, register } from '../support/builders.ts';
import { untilNoMailIsPending } from '../support/mailbox.ts';
import { useReplicas } from '../support/service.ts';
import { PROMISED_MS, staleFor } from '../support/staleness.ts';

const { database, here, there } = useReplicas();

const query = (sql: string) => database.pool.query(sql);

/** Leaves the database as an asynchronous failover, or the restore of a backup, does: the latest events are gone, and their positions are given again. */
async function loseEvents(): Promise<void> {
  await untilNoMailIsPending(database.pool);
  await query('delete from events');
  await query(`select setval('events_position_seq', 1)`);
  await query('update event_cursors set position = 1');
}

const isActive = async (accessToken: string) => (await here.auth.introspectToken({ accessToken })).active;

describe('a database that has lost its latest events', () => {
  it.each([
    ['a session that ends', (sessionId: string) => there.sessions.revokeSession({ sessionId })],
    ['a user who is deactivated', async (_: string, userId: string) => void (await there.users.deactivateUser({ userId }))],
  ])('%s afterwards is known on the other replica in time', async (_what, end) => {
    const user = await register(here);
    const { accessToken, sessionId } = await logIn(here, user.email);
    expect(await isActive(accessToken)).toBe(true);
    await loseEvents();
    await end(sessionId, user.id);
    expect(await staleFor(() => isActive(accessToken))).toBeLessThanOrEqual(PROMISED_MS);
  });

  it('what it has lost is not believed any more', async () => {
    const user = await register(here);
    const { accessToken, sessionId } = await logIn(here, user.email);
    expect(await isActive(accessToken)).toBe(true);
    await loseEvents();
    // As on a server that never had the session: nothing tells.
    await query(`delete from sessions where id = '${sessionId}'`);
    expect(await staleFor(() => isActive(accessToken))).toBeLessThanOrEqual(PROMISED_MS);
  });
});
