import { status } from '@grpc/grpc-js';
import { describe, expect, test } from 'vitest';
import { logIn, PASSWORD, required, signedIn } from '../../support/builders.ts';
import { expectStatus } from '../../support/expect-status.ts';
import { startService, type TestService, useReplicas } from '../../support/service.ts';
import { PROMISED_MS, staleFor } from '../../support/staleness.ts';
import { startTcpProxy } from '../../support/tcp-proxy.ts';

/** Things are changed here, and the change has to be obeyed there. */
const { database, here, there } = useReplicas();

const isActive = async (service: TestService, accessToken: string) => (await service.auth.introspectToken({ accessToken })).active;

const ENDS: readonly (readonly [string, (session: Awaited<ReturnType<typeof signedIn>>) => Promise<unknown>])[] = [
  ['RevokeSession', ({ tokens }) => here.sessions.revokeSession({ sessionId: tokens.sessionId })],
  ['RevokeAllSessions', ({ user }) => here.sessions.revokeAllSessions({ userId: user.id })],
  ['RevokeEverySession', () => here.sessions.revokeEverySession({})],
  ['Logout', ({ tokens }) => here.auth.logout({ refreshToken: tokens.refreshToken })],
  ['DeactivateUser', ({ user }) => here.users.deactivateUser({ userId: user.id })],
  ['DeleteUser', ({ user }) => here.users.deleteUser({ userId: user.id })],
  [
    'ChangePassword',
    ({ user }) => here.auth.changePassword({ userId: user.id, currentPassword: PASSWORD, newPassword: 'another one of mine' }),
  ],
];

describe('a session that ends', () => {
  test.each(ENDS)('by %s is refused at once where it ended, and within 250 ms by every other replica', async (_, end) => {
    const session = await signedIn(here);
    const { accessToken } = session.tokens;
    // Twice, so that the second answer is one from memory.
    for (const service of [here, there, here, there]) expect(await isActive(service, accessToken)).toBe(true);
    await end(session);
    expect(await isActive(here, accessToken)).toBe(false);
    expect(await staleFor(() => isActive(there, accessToken))).toBeLessThanOrEqual(PROMISED_MS);
    await expectStatus(there.auth.getCaller({}, { token: accessToken }), 'UNAUTHENTICATED', 'CALLER_UNAUTHENTICATED');
  });

  test('because its refresh token came back is refused as well', async () => {
    const { tokens } = await signedIn(here);
    const first = required((await here.auth.refreshToken({ refreshToken: tokens.refreshToken })).tokens);
    const second = required((await here.auth.refreshToken({ refreshToken: first.refreshToken })).tokens);
    expect(await isActive(there, second.accessToken)).toBe(true);
    here.clock.advance(10);
    await expectStatus(here.auth.refreshToken({ refreshToken: tokens.refreshToken }), 'UNAUTHENTICATED', 'INVALID_REFRESH_TOKEN');
    expect(await isActive(here, second.accessToken)).toBe(false);
    expect(await staleFor(() => isActive(there, second.accessToken))).toBeLessThanOrEqual(PROMISED_MS);
  });

  test('while others ask for it all the time is not remembered from before', async () => {
    for (let round = 0; round < 10; round++) {
      const { tokens } = await signedIn(here);
      let asking = true;
      const ask = async () => {
        while (asking) await isActive(here, tokens.accessToken);
      };
      const askers = Array.from({ length: 5 }, ask);
      await here.sessions.revokeSession({ sessionId: tokens.sessionId });
      expect(await isActive(here, tokens.accessToken)).toBe(false);
      asking = false;
      await Promise.all(askers);
      expect(await isActive(here, tokens.accessToken)).toBe(false);
    }
  });

  test('is refused in time behind thousands of other events', async () => {
    const { tokens } = await signedIn(here);
    expect(await isActive(there, tokens.accessToken)).toBe(true);
    await database.pool.query(`insert into events (type, occurred_at) select 'test.other', now() from generate_series(1, 2500)`);
    await here.sessions.revokeSession({ sessionId: tokens.sessionId });
    expect(await staleFor(() => isActive(there, tokens.accessToken))).toBeLessThanOrEqual(PROMISED_MS);
  });

  test('takes no other session along', async () => {
    const { user, tokens } = await signedIn(here);
    const other = await logIn(here, user.email);
    for (const { accessToken } of [tokens, other]) expect(await isActive(there, accessToken)).toBe(true);
    await here.sessions.revokeSession({ sessionId: tokens.sessionId });
    await expect.poll(() => isActive(there, tokens.accessToken)).toBe(false);
    expect(await isActive(there, other.accessToken)).toBe(true);
  });
});

describe('without the database', () => {
  test('no token is relied on from memory', async () => {
    const proxy = await startTcpProxy(database.url);
    const service = await startService({ DATABASE_URL: proxy.url }, { ...database, url: proxy.url });
    try {
      const { tokens } = await signedIn(service);
      expect(await isActive(service, tokens.accessToken)).toBe(true);
      await proxy.refuse();
      const failures = async () =>
        service.auth.introspectToken({ accessToken: tokens.accessToken }).then(
          () => undefined,
          (error) => error.code,
        );
      // UNAVAILABLE, once what is known is older than 250 ms.
      await expect.poll(failures).toBe(14);
    } finally {
      await service.stop();
      await proxy.close();
    }
  });

  test('nobody is taken for the user of a token from memory', async () => {
    const proxy = await startTcpProxy(database.url);
    const service = await startService({}, { ...database, url: proxy.url });
    try {
      const { user, tokens } = await signedIn(service);
      const caller = async () =>
        service.auth.getCaller({}, { token: tokens.accessToken }).then(
          (answer) => answer.user?.userId,
          ({ code }) => status[code],
        );
      expect(await caller()).toBe(user.id);
      await proxy.refuse();
      await expect.poll(caller, { timeout: 10_000 }).toBe('UNAVAILABLE');
      await proxy.restore();
      await expect.poll(caller, { timeout: 10_000 }).toBe(user.id);
    } finally {
      await service.stop();
      await proxy.close();
    }
  });
});
