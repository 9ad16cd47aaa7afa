import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { atOnce, logIn, register, signedIn } from '../support/builders.ts';
import { decode, expectInvalid, expectStatus } from '../support/expect-status.ts';
import { auditTrail, bookkeeping, rows, whileInsertsFail } from '../support/rows.ts';
import { useService } from '../support/service.ts';

const service = useService();

const deactivate = (userId: string) => service.users.deactivateUser({ userId });

async function liveSessions(userId: string): Promise<number> {
  return (await rows(service, 'select id from sessions where user_id = $1 and revoked_at is null', [userId])).length;
}

describe('DeactivateUser', () => {
  it('answers with the user, who is not active any more', async () => {
    const before = await register(service);
    const { user } = await deactivate(before.id);
    expect(user).toEqual({ ...before, active: false, etag: expect.not.stringMatching(before.etag) });
    expect((await service.users.getUser({ userId: before.id })).user).toEqual(user);
  });

  it('ends every session: no token is good any more', async () => {
    const { user, tokens } = await signedIn(service);
    const all = [tokens, await logIn(service, user.email)];
    await deactivate(user.id);
    for (const { accessToken, refreshToken } of all) {
      await expectStatus(service.auth.refreshToken({ refreshToken }), 'UNAUTHENTICATED', 'INVALID_REFRESH_TOKEN');
      expect((await service.auth.introspectToken({ accessToken })).active).toBe(false);
    }
    expect(await liveSessions(user.id)).toBe(0);
  });

  it('shuts the user out', async () => {
    const { id, email } = await register(service);
    await deactivate(id);
    await expectStatus(logIn(service, email), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
  });

  it('keeps the account, and with it the email', async () => {
    const { id, email } = await register(service, { profile: { fullName: 'Ada Lovelace' } });
    const { user } = await deactivate(id);
    expect(user?.profile?.fullName).toBe('Ada Lovelace');
    await expectStatus(service.users.createUser({ email }), 'ALREADY_EXISTS', 'EMAIL_ALREADY_EXISTS');
  });

  it('writes down the deactivation and the end of each session', async () => {
    const { user } = await signedIn(service);
    await logIn(service, user.email);
    await deactivate(user.id);
    const written = (await auditTrail(service, user.id)).filter((type) => type !== 'user.created' && type !== 'user.login').sort();
    expect(written).toEqual(['session.revoked', 'session.revoked', 'user.deactivated']);
    const ends = await rows(
      service,
      `select metadata->>'reason' as reason from audit_events where user_id = $1 and type = 'session.revoked'`,
      [user.id],
    );
    expect(ends).toEqual([{ reason: 'user_deactivated' }, { reason: 'user_deactivated' }]);
  });

  it('changes nothing the second time', async () => {
    const { user } = await signedIn(service);
    const first = await deactivate(user.id);
    const [row, events] = [await bookkeeping(service, user.id), await auditTrail(service, user.id)];
    expect(await deactivate(user.id)).toEqual(first);
    expect(await bookkeeping(service, user.id)).toEqual(row);
    expect(await auditTrail(service, user.id)).toEqual(events);
  });

  it('is written down once by ten calls at once', async () => {
    const { user } = await signedIn(service);
    const results = await atOnce(10, () => deactivate(user.id));
    expect(results.every(({ status }) => status === 'fulfilled')).toBe(true);
    expect((await auditTrail(service, user.id)).sort()).toEqual(['session.revoked', 'user.created', 'user.deactivated', 'user.login']);
  });

  it('is one transaction with the end of the sessions and the audit', async () => {
    const { user, tokens } = await signedIn(service);
    await whileInsertsFail(service, 'audit_events', () => expectStatus(deactivate(user.id), 'INTERNAL', 'INTERNAL_ERROR'));
    expect((await service.users.getUser({ userId: user.id })).user?.active).toBe(true);
    expect((await service.auth.introspectToken({ accessToken: tokens.accessToken })).active).toBe(true);
  });

  it('leaves no session of a login at the same time', async () => {
    for (let round = 0; round < 5; round++) {
      const { id, email } = await register(service);
      const results = await atOnce<unknown>(5, (index) => (index === 2 ? deactivate(id) : logIn(service, email)));
      for (const result of results) {
        if (result.status === 'rejected') expect(decode(result.reason).reason).toBe('INVALID_CREDENTIALS');
      }
      expect(await liveSessions(id)).toBe(0);
    }
  });

  it('shows what an update at the same time has changed', async () => {
    const { id } = await register(service);
    const results = await atOnce(6, (index) =>
      index === 3 ? deactivate(id) : service.users.updateUser({ user: { id, profile: { bio: `writer ${index}` } } }),
    );
    expect(results.every(({ status }) => status === 'fulfilled')).toBe(true);
    const { user } = await service.users.getUser({ userId: id });
    expect(user).toMatchObject({ active: false, profile: { bio: expect.stringContaining('writer') } });
  });

  it('tells that nobody has the id', async () => {
    await expectStatus(deactivate(randomUUID()), 'NOT_FOUND', 'USER_NOT_FOUND');
  });

  it('refuses what is no id', async () => {
    for (const userId of ['', 'nobody']) await expectInvalid(deactivate(userId), ['user_id']);
  });
});
