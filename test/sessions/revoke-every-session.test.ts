import { describe, expect, it } from 'vitest';
import { runCleanup } from '../../src/jobs/cleanup.ts';
import { sessionCleanup } from '../../src/sessions/session-cleanup.ts';
import { countEvents } from '../support/audit.ts';
import { atOnce, logIn, register, required, signedIn } from '../support/builders.ts';
import { keyOf, programWith, roleWith } from '../support/grants.ts';
import { rows } from '../support/rows.ts';
import { type TestService, useReplicas } from '../support/service.ts';
import { eventsOfSession, expectAlive, expectDead, expectRefused, isActive, refresh, refreshTimes } from '../support/sessions.ts';
import { PROMISED_MS, staleFor } from '../support/staleness.ts';

const DAY = 86_400;

/** Everything is ended here, and that has to be obeyed there. */
const { here, there } = useReplicas();

const revokeEvery = () => here.sessions.revokeEverySession({});

const generations = async () => {
  const found = await rows<{ number: number; ended: boolean }>(
    here,
    'select number, ended_at is not null as ended from session_generations order by number',
  );
  return found.map(({ ended }) => ended);
};

/** The rows of sessions, each with the transaction that has written it last. */
const written = () => rows(here, 'select id, xmin::text as writer from sessions order by id');

describe('RevokeEverySession', () => {
  it('ends the sessions of all users, here at once and on every other replica within 250 ms', async () => {
    const sessions = [await signedIn(here), await signedIn(there), await signedIn(here)];
    for (const service of [here, there, there]) {
      for (const { tokens } of sessions) expect(await isActive(service, tokens.accessToken)).toBe(true);
    }
    await revokeEvery();
    for (const { tokens } of sessions) expect(await isActive(here, tokens.accessToken)).toBe(false);
    const anyActive = async () => (await Promise.all(sessions.map(({ tokens }) => isActive(there, tokens.accessToken)))).includes(true);
    expect(await staleFor(anyActive)).toBeLessThanOrEqual(PROMISED_MS);
    for (const { user, tokens } of sessions) {
      for (const service of [here, there]) {
        await expectDead(service, tokens);
        expect((await service.sessions.listSessions({ userId: user.id })).sessions).toEqual([]);
      }
    }
  });

  it('refuses refresh tokens on every replica at once', async () => {
    const { tokens } = await signedIn(there);
    await revokeEvery();
    await expectRefused(there, tokens.refreshToken);
  });

  it('ends the session of the caller, too', async () => {
    const { user, tokens } = await signedIn(here);
    const role = await roleWith(here, ['identity.sessions.revoke_every']);
    await here.roles.assignRole({ userId: user.id, role });
    await here.sessions.revokeEverySession({}, { token: tokens.accessToken });
    await expectDead(here, tokens);
  });

  it('lets everybody sign in again at once, on every replica', async () => {
    const { user } = await signedIn(here);
    await revokeEvery();
    for (const service of [here, there]) await expectAlive(service, await logIn(service, user.email));
  });

  it('does not count what it has ended for MAX_SESSIONS', async () => {
    const user = await register(here);
    const ended = [];
    for (let count = 1; count <= 5; count++) ended.push(await logIn(here, user.email));
    await revokeEvery();
    const again = [];
    for (let count = 1; count <= 5; count++) again.push(await logIn(here, user.email));
    for (const tokens of again) await expectAlive(here, tokens);
    for (const { sessionId } of ended) expect(await eventsOfSession(here, sessionId)).toEqual([]);
  });

  it('is written down once, and not for each session', async () => {
    const { tokens } = await signedIn(here);
    const { key, name } = await programWith(here, ['identity.sessions.revoke_every']);
    const before = await countEvents(here, 'session.all_revoked');
    await here.sessions.revokeEverySession({}, { token: key });
    const sql = `select user_id, actor from audit_events where type = 'session.all_revoked' order by occurred_at desc limit 1`;
    expect(await rows(here, sql)).toEqual([{ user_id: null, actor: `service_account:${name}` }]);
    expect(await countEvents(here, 'session.all_revoked')).toBe(before + 1);
    expect(await eventsOfSession(here, tokens.sessionId)).toEqual([]);
  });

  it('leaves nothing that could end once more', async () => {
    const { user, tokens } = await signedIn(here);
    const used = tokens.refreshToken;
    const newest = required((await refreshTimes(here, tokens, 3)).at(-1));
    await revokeEvery();
    here.clock.advance(60);
    await expectRefused(here, used);
    await here.auth.logout({ refreshToken: newest.refreshToken });
    await here.sessions.revokeSession({ sessionId: tokens.sessionId });
    expect(await here.sessions.revokeAllSessions({ userId: user.id })).toEqual({ revokedCount: 0 });
    expect(await eventsOfSession(here, tokens.sessionId)).toEqual([]);
  });

  it('leaves API keys as they are', async () => {
    const { id } = await register(here);
    const key = await keyOf(here, { userId: id });
    await revokeEvery();
    expect((await here.apiKeys.introspectApiKey({ key })).active).toBe(true);
  });

  it('writes no row of a session, so it costs the same however many there are', async () => {
    for (let count = 1; count <= 3; count++) await signedIn(here);
    const before = await written();
    await revokeEvery();
    expect(await written()).toEqual(before);
  });

  it('may be called by many at the same time', async () => {
    const { tokens } = await signedIn(here);
    const results = await atOnce(8, (index) => (index % 2 ? here : there).sessions.revokeEverySession({}));
    expect(results.map(({ status }) => status)).toEqual(Array(8).fill('fulfilled'));
    expect((await generations()).filter((ended) => !ended)).toEqual([false]);
    await expectDead(here, tokens);
    await expectAlive(here, required(await logIn(here, (await register(here)).email)));
  });

  it('ends or spares a sign-in at the same time as a whole', async () => {
    for (let round = 1; round <= 5; round++) {
      const users = await Promise.all(Array.from({ length: 6 }, () => register(here)));
      const before = await Promise.all(users.map(({ email }) => logIn(here, email)));
      const [revoked, ...logins] = await atOnce<unknown>(1 + users.length, (index) =>
        index === 0 ? revokeEvery() : logIn(index % 2 ? here : there, required(users[index - 1]).email),
      );
      expect([revoked, ...logins].map((result) => result?.status)).toEqual(Array(1 + users.length).fill('fulfilled'));
      for (const tokens of before) await expectDead(here, tokens);
      for (const login of logins) await expectWhole(here, (login as PromiseFulfilledResult<Awaited<ReturnType<typeof logIn>>>).value);
    }
  });

  it('is told to the user in the export as the end of the session', async () => {
    const { user } = await signedIn(here);
    await revokeEvery();
    const { document } = await here.users.exportUser({ userId: user.id });
    const [{ ended } = { ended: undefined }] = await rows<{ ended: Date }>(here, 'select max(ended_at) as ended from session_generations');
    expect(document?.sessions).toMatchObject([{ revoked_at: required(ended).toISOString() }]);
  });

  it('leaves rows that the cleanup deletes with the expired ones', async () => {
    await signedIn(here);
    await revokeEvery();
    const later = new Date(here.clock.now().getTime() + 9 * DAY * 1000);
    await runCleanup(here.app.orm.em, later, sessionCleanup);
    expect(await rows(here, 'select 1 from sessions')).toEqual([]);
  });
});

/** A session either lives, and its tokens work, or it has ended, and none of them does. */
async function expectWhole(service: TestService, tokens: Awaited<ReturnType<typeof logIn>>): Promise<void> {
  const [found] = await rows<{ live: boolean }>(
    service,
    'select generation = (select max(number) from session_generations) as live from sessions where id = $1',
    [tokens.sessionId],
  );
  if (!found?.live) return expectDead(service, tokens);
  expect(await isActive(service, tokens.accessToken)).toBe(true);
  await refresh(service, tokens.refreshToken);
}
