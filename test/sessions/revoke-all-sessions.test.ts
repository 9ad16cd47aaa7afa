import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Tokens } from '../../src/gen/identity/v1/tokens.ts';
import type { User } from '../../src/gen/identity/v1/user.ts';
import { atOnce, logIn, register, required, signedIn } from '../support/builders.ts';
import { expectInvalid, expectStatus } from '../support/expect-status.ts';
import { useService } from '../support/service.ts';
import { endingsOf, eventsOfSession, expectAlive, expectDead, refresh } from '../support/sessions.ts';

const service = useService();

async function revokeAll(userId: string, exceptSessionId?: string): Promise<number> {
  const { revokedCount } = await service.sessions.revokeAllSessions({ userId, exceptSessionId });
  return revokedCount;
}

async function signedInTimes(times: number): Promise<{ user: User; sessions: [Tokens, ...Tokens[]] }> {
  const { user, tokens } = await signedIn(service);
  const sessions: [Tokens, ...Tokens[]] = [tokens];
  while (sessions.length < times) sessions.push(await logIn(service, user.email));
  return { user, sessions };
}

describe('RevokeAllSessions', () => {
  it('ends every session of the user, each with one event', async () => {
    const { user, sessions } = await signedInTimes(3);
    expect(await revokeAll(user.id)).toBe(3);
    for (const tokens of sessions) {
      await expectDead(service, tokens);
      expect(await eventsOfSession(service, tokens.sessionId)).toEqual([
        { type: 'session.revoked', userId: user.id, actor: 'service_account:test-admin', ipAddress: null, reason: 'revoked' },
      ]);
    }
    expect((await service.sessions.listSessions({ userId: user.id })).sessions).toEqual([]);
  });

  it('keeps the session named', async () => {
    const { user, sessions } = await signedInTimes(3);
    const [kept, ...ended] = sessions;
    expect(await revokeAll(user.id, kept.sessionId.toUpperCase())).toBe(2);
    for (const tokens of ended) await expectDead(service, tokens);
    await expectAlive(service, kept);
    expect(await endingsOf(service, kept.sessionId)).toEqual([]);
  });

  it.each(['of nobody', 'of another user'])('keeps nothing where the session named is one %s', async (whose) => {
    const [{ user, sessions }, stranger] = [await signedInTimes(2), await signedIn(service)];
    expect(await revokeAll(user.id, whose === 'of nobody' ? randomUUID() : stranger.tokens.sessionId)).toBe(2);
    for (const tokens of sessions) await expectDead(service, tokens);
    await expectAlive(service, stranger.tokens);
  });

  it('does not keep the session of the caller unless it is named', async () => {
    const { user, sessions } = await signedInTimes(2);
    const { revokedCount } = await service.sessions.revokeAllSessions({ userId: user.id }, { token: sessions[0].accessToken });
    expect(revokedCount).toBe(2);
    await expectDead(service, sessions[0]);
    expect(await eventsOfSession(service, required(sessions[1]).sessionId)).toMatchObject([{ actor: `user:${user.id}` }]);
  });

  it('counts only what it ends, and writes nothing about the rest', async () => {
    const user = await register(service);
    const expired = await logIn(service, user.email);
    service.clock.advance(expired.refreshExpiresIn);
    const [revoked, live] = [await logIn(service, user.email), await logIn(service, user.email)];
    await service.auth.logout({ refreshToken: revoked.refreshToken });
    expect(await revokeAll(user.id)).toBe(1);
    expect(await endingsOf(service, expired.sessionId)).toEqual([]);
    expect(await endingsOf(service, revoked.sessionId)).toEqual(['logout']);
    expect(await endingsOf(service, live.sessionId)).toEqual(['revoked']);
  });

  it('is idempotent', async () => {
    const { user, sessions } = await signedInTimes(2);
    expect([await revokeAll(user.id), await revokeAll(user.id)]).toEqual([2, 0]);
    expect(await endingsOf(service, sessions[0].sessionId)).toEqual(['revoked']);
  });

  it('ends each session once, however many calls do it at once', async () => {
    const { user, sessions } = await signedInTimes(3);
    const counts = (await atOnce(8, () => revokeAll(user.id))).map((result) => required('value' in result ? result.value : undefined));
    expect(counts.sort()).toEqual([0, 0, 0, 0, 0, 0, 0, 3]);
    for (const { sessionId } of sessions) expect(await endingsOf(service, sessionId)).toEqual(['revoked']);
  });

  it('ends every token of a session that was refreshed', async () => {
    const { user, sessions } = await signedInTimes(1);
    const next = await refresh(service, sessions[0].refreshToken);
    expect(await revokeAll(user.id)).toBe(1);
    await expectDead(service, sessions[0]);
    await expectDead(service, next);
  });

  it('does not touch the sessions of other users', async () => {
    const [{ user }, bystander] = [await signedInTimes(1), await signedIn(service)];
    await revokeAll(user.id);
    await expectAlive(service, bystander.tokens);
  });

  it('does not keep the user from signing in again', async () => {
    const { user } = await signedInTimes(1);
    await revokeAll(user.id);
    await expectAlive(service, await logIn(service, user.email));
  });

  it('ends nothing of a user who is not signed in', async () => expect(await revokeAll((await register(service)).id)).toBe(0));

  it('does not know a user who does not exist', async () => {
    await expectStatus(revokeAll(randomUUID()), 'NOT_FOUND', 'USER_NOT_FOUND');
  });

  it('names every id that is none', async () => {
    await expectInvalid(revokeAll(''), ['user_id']);
    await expectInvalid(revokeAll('user', 'session'), ['user_id', 'except_session_id']);
    await expectInvalid(revokeAll(randomUUID(), ''), ['except_session_id']);
  });
});
