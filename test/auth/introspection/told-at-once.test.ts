import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { logIn, PASSWORD, required, signedIn } from '../../support/builders.ts';
import { createDatabase } from '../../support/database.ts';
import { rows } from '../../support/rows.ts';
import { startService, type TestService } from '../../support/service.ts';
import { expectAlive, isActive } from '../../support/sessions.ts';
import { untilChangesAreKnown } from '../../support/statements.ts';

const MAX_SESSIONS = 2;

/** A service that never hears of an event: it looks for such as come after the last one at its start, and that one is far ahead. */
let service: TestService;

beforeAll(async () => {
  const database = await createDatabase();
  await database.pool.query(`select setval('events_position_seq', 1000000000)`);
  await database.pool.query(`insert into events (type, occurred_at) values ('test.other', now())`);
  await database.pool.query(`select setval('events_position_seq', 1)`);
  service = await startService({ MAX_SESSIONS: String(MAX_SESSIONS) }, database);
});

afterAll(async () => {
  await service?.stop();
  await service?.database.drop();
});

type Session = Awaited<ReturnType<typeof signedIn>>;

const ENDS: readonly (readonly [string, (session: Session) => Promise<unknown>])[] = [
  [
    'a Login that makes one too many',
    async ({ user }) => {
      for (let count = 1; count <= MAX_SESSIONS; count++) await logIn(service, user.email);
    },
  ],
  ['RevokeSession', ({ tokens }) => service.sessions.revokeSession({ sessionId: tokens.sessionId })],
  ['RevokeAllSessions', ({ user }) => service.sessions.revokeAllSessions({ userId: user.id })],
  ['RevokeEverySession', () => service.sessions.revokeEverySession({})],
  ['Logout', ({ tokens }) => service.auth.logout({ refreshToken: tokens.refreshToken })],
  [
    'ChangePassword',
    ({ user }) => service.auth.changePassword({ userId: user.id, currentPassword: PASSWORD, newPassword: 'another one of mine' }),
  ],
  [
    'RefreshToken with a used token',
    async ({ tokens: { refreshToken } }) => {
      const { tokens } = await service.auth.refreshToken({ refreshToken });
      await service.auth.refreshToken({ refreshToken: required(tokens).refreshToken });
      service.clock.advance(10);
      await expect(service.auth.refreshToken({ refreshToken })).rejects.toThrow();
    },
  ],
  ['DeactivateUser', ({ user }) => service.users.deactivateUser({ userId: user.id })],
  ['DeleteUser', ({ user }) => service.users.deleteUser({ userId: user.id })],
];

describe('a session that ends where it is remembered', () => {
  it.each(ENDS)('by %s is known there to have ended before the call is answered, whoever tells the others', async (_, end) => {
    const session = await signedIn(service);
    const { accessToken } = session.tokens;
    expect(await isActive(service, accessToken)).toBe(true);
    await end(session);
    expect(await isActive(service, accessToken)).toBe(false);
    await expect(service.auth.getCaller({}, { token: accessToken })).rejects.toThrow();
  });

  it('is one for each Login: those that stay are relied on', async () => {
    const { user, tokens: first } = await signedIn(service);
    const second = await logIn(service, user.email);
    for (const { accessToken } of [first, second]) expect(await isActive(service, accessToken)).toBe(true);
    const third = await logIn(service, user.email);
    expect(await isActive(service, first.accessToken)).toBe(false);
    for (const tokens of [second, third]) await expectAlive(service, tokens);
  });

  it('behind the back of the service is still relied on: it hears of nothing here but from itself', async () => {
    const { tokens } = await signedIn(service);
    expect(await isActive(service, tokens.accessToken)).toBe(true);
    await rows(service, 'update sessions set revoked_at = now() where id = $1', [tokens.sessionId]);
    await rows(service, `insert into events (type, payload, occurred_at) values ('session.revoked', $1, now())`, [
      { session_id: tokens.sessionId },
    ]);
    await untilChangesAreKnown(service.database, 1);
    // Where the answers about changes are late it asks the database, but forgets nothing.
    await expect.poll(() => isActive(service, tokens.accessToken), { timeout: 5000 }).toBe(true);
  });
});
