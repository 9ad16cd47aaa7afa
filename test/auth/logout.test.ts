import { describe, expect, it } from 'vitest';
import { atOnce, logIn, signedIn } from '../support/builders.ts';
import { expectInvalid } from '../support/expect-status.ts';
import { useService } from '../support/service.ts';
import { endingsOf, eventsOfSession, expectAlive, expectDead, refresh } from '../support/sessions.ts';

const service = useService();

const logout = (refreshToken: string) => service.auth.logout({ refreshToken });

describe('Logout', () => {
  it('ends the session of the token', async () => {
    const { user, tokens } = await signedIn(service);
    expect(await logout(tokens.refreshToken)).toEqual({});
    await expectDead(service, tokens);
    expect((await service.sessions.listSessions({ userId: user.id })).sessions).toEqual([]);
    expect(await eventsOfSession(service, tokens.sessionId)).toEqual([
      { type: 'session.revoked', userId: user.id, actor: 'service_account:test-admin', ipAddress: null, reason: 'logout' },
    ]);
  });

  it('names the user in the audit where the call carries their access token', async () => {
    const { user, tokens } = await signedIn(service);
    await service.roles.assignRole({ role: 'service', userId: user.id });
    await service.auth.logout({ refreshToken: tokens.refreshToken }, { token: tokens.accessToken });
    expect(await eventsOfSession(service, tokens.sessionId)).toMatchObject([{ actor: `user:${user.id}` }]);
  });

  it.each([1, 2, 3])('takes a token %d refreshes old, in or after the grace, without calling it reuse', async (age) => {
    for (const elapsed of [0, 60]) {
      const { tokens } = await signedIn(service);
      let current = tokens;
      for (let time = 1; time <= age; time++) current = await refresh(service, current.refreshToken);
      service.clock.advance(elapsed);
      await logout(tokens.refreshToken);
      await expectDead(service, current);
      expect(await endingsOf(service, tokens.sessionId)).toEqual(['logout']);
    }
  });

  it('is idempotent', async () => {
    const { tokens } = await signedIn(service);
    for (let time = 1; time <= 3; time++) await logout(tokens.refreshToken);
    expect(await endingsOf(service, tokens.sessionId)).toEqual(['logout']);
  });

  it('ends a session once, however many calls do it at once', async () => {
    const { tokens } = await signedIn(service);
    const results = await atOnce(10, () => logout(tokens.refreshToken));
    expect(results.map(({ status }) => status)).toEqual(results.map(() => 'fulfilled'));
    expect(await endingsOf(service, tokens.sessionId)).toEqual(['logout']);
  });

  it('leaves a session alone that ended otherwise', async () => {
    const { tokens } = await signedIn(service);
    await service.sessions.revokeSession({ sessionId: tokens.sessionId });
    await logout(tokens.refreshToken);
    expect(await endingsOf(service, tokens.sessionId)).toEqual(['revoked']);
  });

  it('succeeds with an expired token and changes nothing', async () => {
    const { tokens } = await signedIn(service);
    service.clock.advance(tokens.refreshExpiresIn);
    await logout(tokens.refreshToken);
    expect(await endingsOf(service, tokens.sessionId)).toEqual([]);
  });

  it.each(['x', Buffer.alloc(32, 3).toString('base64url'), 'a\u0000b', 'жетон', 'x'.repeat(512)])(
    'succeeds with an unknown token',
    (token) => expect(logout(token)).resolves.toEqual({}),
  );

  it('does not touch other sessions, of this user or of others', async () => {
    const [{ user, tokens }, bystander] = [await signedIn(service), await signedIn(service)];
    const other = await logIn(service, user.email);
    await logout(tokens.refreshToken);
    await expectAlive(service, other);
    await expectAlive(service, bystander.tokens);
  });

  it('requires a token', () => expectInvalid(logout(''), ['refresh_token']));

  it('refuses a token that is too long', () => expectInvalid(logout('x'.repeat(513)), ['refresh_token']));
});
