import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { atOnce, logIn, register, signedIn } from '../support/builders.ts';
import { expectInvalid, expectStatus } from '../support/expect-status.ts';
import { auditTrail, bookkeeping, whileInsertsFail } from '../support/rows.ts';
import { useService } from '../support/service.ts';

const service = useService();

const reactivate = (userId: string) => service.users.reactivateUser({ userId });

async function deactivated() {
  const account = await signedIn(service);
  await service.users.deactivateUser({ userId: account.user.id });
  return account;
}

describe('ReactivateUser', () => {
  it('gives the user back as they were', async () => {
    const { user } = await deactivated();
    expect((await reactivate(user.id)).user).toEqual(user);
    expect((await service.users.getUser({ userId: user.id })).user).toEqual(user);
  });

  it('lets the user sign in again', async () => {
    const { user } = await deactivated();
    await reactivate(user.id);
    const { accessToken, refreshToken } = await logIn(service, user.email);
    expect((await service.auth.introspectToken({ accessToken })).active).toBe(true);
    await service.auth.refreshToken({ refreshToken });
  });

  it('does not bring the old sessions back', async () => {
    const { user, tokens } = await deactivated();
    await reactivate(user.id);
    const { accessToken, refreshToken } = tokens;
    expect((await service.auth.introspectToken({ accessToken })).active).toBe(false);
    await expectStatus(service.auth.refreshToken({ refreshToken }), 'UNAUTHENTICATED', 'INVALID_REFRESH_TOKEN');
  });

  it('is written down', async () => {
    const { user } = await deactivated();
    await reactivate(user.id);
    expect((await auditTrail(service, user.id)).at(-1)).toBe('user.reactivated');
  });

  it('changes nothing for an active user', async () => {
    const user = await register(service);
    const row = await bookkeeping(service, user.id);
    expect((await reactivate(user.id)).user).toEqual(user);
    expect(await bookkeeping(service, user.id)).toEqual(row);
    expect(await auditTrail(service, user.id)).toEqual(['user.created']);
  });

  it('is written down once by ten calls at once', async () => {
    const { user } = await deactivated();
    const results = await atOnce(10, () => reactivate(user.id));
    expect(results.every(({ status }) => status === 'fulfilled')).toBe(true);
    expect((await auditTrail(service, user.id)).filter((type) => type === 'user.reactivated')).toHaveLength(1);
  });

  it('is one transaction with its audit event', async () => {
    const { user } = await deactivated();
    await whileInsertsFail(service, 'audit_events', () => expectStatus(reactivate(user.id), 'INTERNAL', 'INTERNAL_ERROR'));
    expect((await service.users.getUser({ userId: user.id })).user?.active).toBe(false);
  });

  it('tells that nobody has the id', async () => {
    await expectStatus(reactivate(randomUUID()), 'NOT_FOUND', 'USER_NOT_FOUND');
  });

  it('refuses what is no id', async () => {
    for (const userId of ['', 'nobody']) await expectInvalid(reactivate(userId), ['user_id']);
  });
});
