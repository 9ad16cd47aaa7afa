import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { User } from '../../src/gen/identity/v1/user.ts';
import { atOnce, logIn, register } from '../support/builders.ts';
import { decode, expectInvalid, expectStatus } from '../support/expect-status.ts';
import { auditTrail, bookkeeping, whileInsertsFail } from '../support/rows.ts';
import { useService } from '../support/service.ts';

const MAX_ATTEMPTS = 5;

const service = useService();

const unlock = (userId: string) => service.users.unlockUser({ userId });

async function fail({ email }: User, times: number): Promise<void> {
  for (let time = 0; time < times; time++) {
    await expectStatus(logIn(service, email, 'wrong password'), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
  }
}

async function locked(): Promise<User> {
  const user = await register(service);
  await fail(user, MAX_ATTEMPTS);
  await expectStatus(logIn(service, user.email), 'RESOURCE_EXHAUSTED', 'TOO_MANY_ATTEMPTS');
  return user;
}

const unlocksOf = async (userId: string) => (await auditTrail(service, userId)).filter((type) => type === 'user.unlocked').length;

describe('UnlockUser', () => {
  it('lets the user sign in at once', async () => {
    const user = await locked();
    expect((await unlock(user.id)).user).toEqual(user);
    await logIn(service, user.email);
  });

  it('forgets the lock and the failed attempts', async () => {
    const user = await locked();
    await unlock(user.id);
    expect(await bookkeeping(service, user.id)).toMatchObject({ failed_attempts: 0, locked_until: null });
    // All attempts are there again.
    await fail(user, MAX_ATTEMPTS - 1);
    await logIn(service, user.email);
  });

  it('forgets failed attempts that have not led to a lock', async () => {
    const user = await register(service);
    await fail(user, MAX_ATTEMPTS - 1);
    await unlock(user.id);
    await fail(user, MAX_ATTEMPTS - 1);
    await logIn(service, user.email);
    expect(await unlocksOf(user.id)).toBe(1);
  });

  it('changes nothing for a user who is not locked', async () => {
    const user = await register(service);
    const row = await bookkeeping(service, user.id);
    expect((await unlock(user.id)).user).toEqual(user);
    expect(await bookkeeping(service, user.id)).toEqual(row);
    expect(await auditTrail(service, user.id)).toEqual(['user.created']);
  });

  it('does not reactivate', async () => {
    const { id, email } = await locked();
    await service.users.deactivateUser({ userId: id });
    expect((await unlock(id)).user?.active).toBe(false);
    await expectStatus(logIn(service, email), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
  });

  it('is written down once, also by ten calls at once', async () => {
    const { id } = await locked();
    const results = await atOnce(10, () => unlock(id));
    expect(results.every(({ status }) => status === 'fulfilled')).toBe(true);
    expect(await unlocksOf(id)).toBe(1);
    await unlock(id);
    expect(await unlocksOf(id)).toBe(1);
  });

  it('is one transaction with its audit event', async () => {
    const { id, email } = await locked();
    await whileInsertsFail(service, 'audit_events', () => expectStatus(unlock(id), 'INTERNAL', 'INTERNAL_ERROR'));
    await expectStatus(logIn(service, email), 'RESOURCE_EXHAUSTED', 'TOO_MANY_ATTEMPTS');
  });

  it('and guesses at the same time do not disturb each other', async () => {
    const { id, email } = await locked();
    const results = await atOnce<unknown>(20, (index) => (index % 4 === 0 ? unlock(id) : logIn(service, email, 'wrong password')));
    const reasons = results.map((result) => (result.status === 'rejected' ? decode(result.reason).reason : 'unlocked'));
    expect(reasons.filter((_, index) => index % 4 === 0)).toEqual(Array(5).fill('unlocked'));
    for (const reason of reasons) expect(['unlocked', 'INVALID_CREDENTIALS', 'TOO_MANY_ATTEMPTS']).toContain(reason);
    await unlock(id);
    await logIn(service, email);
  });

  it('tells that nobody has the id', async () => {
    await expectStatus(unlock(randomUUID()), 'NOT_FOUND', 'USER_NOT_FOUND');
  });

  it('refuses what is no id', async () => {
    for (const userId of ['', 'nobody']) await expectInvalid(unlock(userId), ['user_id']);
  });
});
