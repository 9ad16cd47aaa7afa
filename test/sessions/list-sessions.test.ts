import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { forge } from '../support/access-tokens.ts';
import { logIn, PASSWORD, register, required, signedIn } from '../support/builders.ts';
import { expectInvalid, expectStatus } from '../support/expect-status.ts';
import { useService } from '../support/service.ts';
import { isActive, refresh } from '../support/sessions.ts';

const service = useService();

async function list(userId: string, token = service.adminKey) {
  const { sessions } = await service.sessions.listSessions({ userId }, { token });
  return sessions;
}

const idsOf = async (userId: string) => (await list(userId)).map(({ id }) => id);

const currentOf = async (userId: string, token = service.adminKey) =>
  (await list(userId, token)).filter(({ current }) => current).map(({ id }) => id);

describe('ListSessions', () => {
  it('says what is known of a session', async () => {
    const user = await register(service);
    const client = { ipAddress: '2001:db8::1', userAgent: 'Browser/1 (größer)', deviceName: 'Olgas Telefon' };
    const before = service.clock.now();
    const tokens = required((await service.auth.login({ email: user.email, password: PASSWORD, client })).tokens);
    const after = service.clock.now();

    const session = required((await list(user.id))[0]);
    expect(session).toEqual({
      id: tokens.sessionId,
      userId: user.id,
      client,
      createTime: expect.any(Date),
      lastActiveTime: session.createTime,
      expireTime: expect.any(Date),
      current: false,
    });
    for (const loggedInAt of [required(session.createTime).getTime(), required(session.expireTime).getTime() - 604_800_000]) {
      expect(loggedInAt).toBeGreaterThanOrEqual(before.getTime());
      expect(loggedInAt).toBeLessThanOrEqual(after.getTime());
    }
  });

  it('leaves empty what the login did not say about the device', async () => {
    const { user } = await signedIn(service);
    expect((await list(user.id))[0]?.client).toEqual({ ipAddress: '', userAgent: '', deviceName: '' });
  });

  it('moves activity and expiry with a refresh, not the creation', async () => {
    const { user, tokens } = await signedIn(service);
    const login = required((await list(user.id))[0]);
    service.clock.advance(500);
    const before = service.clock.now().getTime();
    await refresh(service, tokens.refreshToken);
    const refreshed = required((await list(user.id))[0]);
    expect(refreshed.createTime).toEqual(login.createTime);
    expect(required(refreshed.lastActiveTime).getTime()).toBeGreaterThanOrEqual(before);
    expect(required(refreshed.expireTime).getTime() - required(refreshed.lastActiveTime).getTime()).toBe(604_800_000);
  });

  it('lists the most recently active first', async () => {
    const { user, tokens: first } = await signedIn(service);
    service.clock.advance(1);
    const second = await logIn(service, user.email);
    service.clock.advance(1);
    const third = await logIn(service, user.email);
    expect(await idsOf(user.id)).toEqual([third.sessionId, second.sessionId, first.sessionId]);

    service.clock.advance(1);
    await refresh(service, first.refreshToken);
    expect(await idsOf(user.id)).toEqual([first.sessionId, third.sessionId, second.sessionId]);

    service.clock.advance(61);
    await isActive(service, second.accessToken);
    // Activity is noted in batches.
    const order = () => idsOf(user.id);
    await expect.poll(order).toEqual([second.sessionId, first.sessionId, third.sessionId]);
  });

  it('lists neither ended nor expired sessions', async () => {
    const { user } = await signedIn(service);
    service.clock.advance(604_790);
    const revoked = await logIn(service, user.email);
    const loggedOut = await logIn(service, user.email);
    const live = await logIn(service, user.email);
    expect(await list(user.id)).toHaveLength(4);
    await service.sessions.revokeSession({ sessionId: revoked.sessionId });
    await service.auth.logout({ refreshToken: loggedOut.refreshToken });
    service.clock.advance(10);
    expect(await idsOf(user.id)).toEqual([live.sessionId]);
  });

  it('lists the sessions of this user only', async () => {
    const [one, other] = [await signedIn(service), await signedIn(service)];
    expect(await idsOf(one.user.id)).toEqual([one.tokens.sessionId]);
    expect(await idsOf(other.user.id)).toEqual([other.tokens.sessionId]);
  });

  it('is empty for a user who is not signed in, or deactivated', async () => {
    const user = await register(service);
    expect(await list(user.id)).toEqual([]);
    await logIn(service, user.email);
    await service.users.deactivateUser({ userId: user.id });
    expect(await list(user.id)).toEqual([]);
  });

  describe('current', () => {
    it('is the session of the access token that the call carries, and no other', async () => {
      const { user, tokens } = await signedIn(service);
      const other = await logIn(service, user.email);
      expect(await list(user.id)).toHaveLength(2);
      expect(await currentOf(user.id, tokens.accessToken)).toEqual([tokens.sessionId]);
      expect(await currentOf(user.id, other.accessToken)).toEqual([other.sessionId]);
      const refreshed = await refresh(service, other.refreshToken);
      expect(await currentOf(user.id, refreshed.accessToken)).toEqual([other.sessionId]);
    });

    it('is none of another user', async () => {
      const [one, other] = [await signedIn(service), await signedIn(service)];
      await service.roles.assignRole({ role: 'reader', userId: other.user.id });
      expect(await list(one.user.id, other.tokens.accessToken)).toHaveLength(1);
      expect(await currentOf(one.user.id, other.tokens.accessToken)).toEqual([]);
    });

    it('is none for a service account', async () => {
      const { user } = await signedIn(service);
      expect(await list(user.id)).toHaveLength(1);
      expect(await currentOf(user.id)).toEqual([]);
    });
  });

  it('lists nothing to a token that is not ours, or has expired', async () => {
    const { user, tokens } = await signedIn(service);
    const forged = forge(tokens.accessToken, { secret: 'another secret key that has 32+ bytes too' });
    service.clock.advance(tokens.expiresIn);
    for (const token of ['garbage', forged, tokens.accessToken]) {
      await expectStatus(list(user.id, token), 'UNAUTHENTICATED', 'CALLER_UNAUTHENTICATED');
    }
    expect(await list(user.id)).toHaveLength(1);
  });

  it('does not know a user who does not exist, or no longer', async () => {
    await expectStatus(list(randomUUID()), 'NOT_FOUND', 'USER_NOT_FOUND');
    const { user } = await signedIn(service);
    await service.users.deleteUser({ userId: user.id });
    await expectStatus(list(user.id), 'NOT_FOUND', 'USER_NOT_FOUND');
  });

  it.each(['', 'user', '00000000-0000-0000-0000-00000000000g', `${randomUUID()}0`])('refuses the user_id "%s"', async (userId) => {
    await expectInvalid(list(userId), ['user_id']);
  });

  it('takes an id in any case', async () => {
    const { user, tokens } = await signedIn(service);
    expect(await idsOf(user.id.toUpperCase())).toEqual([tokens.sessionId]);
  });
});
