import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { atOnce, logIn, signedIn } from '../support/builders.ts';
import { expectInvalid, expectStatus } from '../support/expect-status.ts';
import { useService } from '../support/service.ts';
import { endingsOf, eventsOfSession, expectAlive, expectDead } from '../support/sessions.ts';

const service = useService();

const revoke = (sessionId: string, token = service.adminKey) => service.sessions.revokeSession({ sessionId }, { token });

describe('RevokeSession', () => {
  it('ends the session at once: refresh token, access tokens and listing', async () => {
    const { user, tokens } = await signedIn(service);
    expect(await revoke(tokens.sessionId)).toEqual({});
    await expectDead(service, tokens);
    expect((await service.sessions.listSessions({ userId: user.id })).sessions).toEqual([]);
  });

  it('is in the audit, with who did it', async () => {
    const [{ user, tokens }, admin] = [await signedIn(service), await signedIn(service)];
    await service.roles.assignRole({ role: 'admin', userId: admin.user.id });
    await revoke(tokens.sessionId, admin.tokens.accessToken);
    expect(await eventsOfSession(service, tokens.sessionId)).toEqual([
      { type: 'session.revoked', userId: user.id, actor: `user:${admin.user.id}`, ipAddress: null, reason: 'revoked' },
    ]);
  });

  it('changes nothing the second time', async () => {
    const { tokens } = await signedIn(service);
    const revokedAt = async () =>
      (await service.database.pool.query('select revoked_at from sessions where id = $1', [tokens.sessionId])).rows;
    await revoke(tokens.sessionId);
    const first = await revokedAt();
    service.clock.advance(5);
    expect(await revoke(tokens.sessionId)).toEqual({});
    expect(await revokedAt()).toEqual(first);
    expect(await endingsOf(service, tokens.sessionId)).toEqual(['revoked']);
  });

  it('ends a session once, however many calls do it at once', async () => {
    const { tokens } = await signedIn(service);
    const results = await atOnce(10, () => revoke(tokens.sessionId));
    expect(results).toEqual(results.map(() => ({ status: 'fulfilled', value: {} })));
    expect(await endingsOf(service, tokens.sessionId)).toEqual(['revoked']);
  });

  it('succeeds for an expired session and changes nothing', async () => {
    const { tokens } = await signedIn(service);
    service.clock.advance(tokens.refreshExpiresIn);
    expect(await revoke(tokens.sessionId)).toEqual({});
    expect(await endingsOf(service, tokens.sessionId)).toEqual([]);
  });

  it('does not touch other sessions, of this user or of others', async () => {
    const [{ user, tokens }, bystander] = [await signedIn(service), await signedIn(service)];
    const other = await logIn(service, user.email);
    await revoke(tokens.sessionId);
    await expectAlive(service, other);
    await expectAlive(service, bystander.tokens);
  });

  it('makes room: the ended session does not count towards the limit', async () => {
    const { user, tokens } = await signedIn(service);
    const others = [];
    for (let login = 2; login <= 5; login++) others.push(await logIn(service, user.email));
    await revoke(tokens.sessionId);
    await logIn(service, user.email);
    for (const other of others) await expectAlive(service, other);
  });

  it('does not know a session that does not exist, or no longer', async () => {
    await expectStatus(revoke(randomUUID()), 'NOT_FOUND', 'SESSION_NOT_FOUND');
    const { user, tokens } = await signedIn(service);
    await service.users.deleteUser({ userId: user.id });
    await expectStatus(revoke(tokens.sessionId), 'NOT_FOUND', 'SESSION_NOT_FOUND');
  });

  it('does not take the id of a user for one of a session', async () => {
    const { user, tokens } = await signedIn(service);
    await expectStatus(revoke(user.id), 'NOT_FOUND', 'SESSION_NOT_FOUND');
    await expectAlive(service, tokens);
  });

  it.each(['', 'session', '00000000000000000000000000000000', `{${randomUUID()}}`])('refuses the session_id "%s"', async (sessionId) => {
    await expectInvalid(revoke(sessionId), ['session_id']);
  });
});
