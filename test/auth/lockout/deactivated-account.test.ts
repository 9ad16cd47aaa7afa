import { describe, expect, it } from 'vitest';
import type { User } from '../../../src/gen/identity/v1/user.ts';
import { auditEvents, DEVICE } from '../../support/audit.ts';
import { logIn, newUsername, PASSWORD, register } from '../../support/builders.ts';
import { type Failure, failureOf } from '../../support/expect-status.ts';
import { counterOf } from '../../support/passwords.ts';
import { rows } from '../../support/rows.ts';
import { useService } from '../../support/service.ts';

const service = useService();
const WRONG = 'not the password';

/** How somebody who tries an account fails, attempt by attempt, until it has been locked, and again after that. */
async function transcriptOf({ email, username = '' }: User, password: string) {
  const seen: Omit<Failure, 'requestId'>[] = [];
  const attempt = async (identifier: object) => {
    const { requestId, ...failure } = await failureOf(service.auth.login({ ...identifier, password, client: DEVICE }));
    // Of a lock that has begun just now.
    seen.push({ ...failure, retryAfterSeconds: failure.retryAfterSeconds && Math.round(failure.retryAfterSeconds / 60) });
  };
  for (let count = 0; count < 4; count++) await attempt({ email });
  await attempt({ username });
  for (let count = 0; count < 3; count++) await attempt({ email });
  return seen;
}

/** What is stored about the attempts on an account. */
async function tracesOf({ id }: User) {
  const failed = await auditEvents(service, 'user.login_failed', id);
  const locked = await auditEvents(service, 'user.locked', id);
  return { counter: await counterOf(service, id), failed: failed.length, locked: locked.length };
}

const deactivate = async (user: User) => {
  await service.users.deactivateUser({ userId: user.id });
  return user;
};

describe('the right password of a deactivated account', () => {
  it('counts as a wrong one, fails like it and locks like it', async () => {
    const active = await register(service, { username: newUsername() });
    const accounts = [
      await deactivate(await register(service, { username: newUsername() })),
      await deactivate(await register(service, { username: newUsername() })),
    ] as const;
    const wrong = await transcriptOf(active, WRONG);
    expect(wrong.map(({ reason }) => reason)).toEqual([...Array(6).fill('INVALID_CREDENTIALS'), ...Array(2).fill('TOO_MANY_ATTEMPTS')]);
    expect(await transcriptOf(accounts[0], PASSWORD)).toEqual(wrong);
    expect(await transcriptOf(accounts[1], WRONG)).toEqual(wrong);
    for (const user of [active, ...accounts]) {
      expect(await tracesOf(user)).toEqual({ counter: { failed: 5, locked: true }, failed: 5, locked: 1 });
    }
  });

  it('counts one by one, and lets nobody in after the account is back while it is locked', async () => {
    const user = await deactivate(await register(service, { username: newUsername() }));
    for (let failed = 1; failed <= 5; failed++) {
      expect(await failureOf(service.auth.login({ email: user.email, password: PASSWORD }))).toMatchObject({
        code: 'UNAUTHENTICATED',
        reason: 'INVALID_CREDENTIALS',
      });
      expect(await counterOf(service, user.id)).toEqual({ failed, locked: failed === 5 });
    }
    await service.users.reactivateUser({ userId: user.id });
    expect((await failureOf(service.auth.login({ email: user.email, password: PASSWORD }))).reason).toBe('TOO_MANY_ATTEMPTS');
    await service.users.unlockUser({ userId: user.id });
    await logIn(service, user.email);
  });

  it('counts where it is presented for a change of password as well', async () => {
    const user = await deactivate(await register(service));
    const change = { userId: user.id, currentPassword: PASSWORD, newPassword: 'another good passphrase' };
    for (let failed = 1; failed <= 5; failed++)
      expect((await failureOf(service.auth.changePassword(change))).reason).toBe('INVALID_CREDENTIALS');
    expect((await failureOf(service.auth.changePassword(change))).reason).toBe('TOO_MANY_ATTEMPTS');
    expect(await tracesOf(user)).toEqual({ counter: { failed: 5, locked: true }, failed: 5, locked: 1 });
  });

  it('counts where the account was deactivated past the service', async () => {
    const user = await register(service);
    await rows(service, 'update users set is_active = false where id = $1', [user.id]);
    for (let failed = 1; failed <= 2; failed++) {
      expect((await failureOf(service.auth.login({ email: user.email, password: PASSWORD }))).reason).toBe('INVALID_CREDENTIALS');
      expect(await counterOf(service, user.id)).toEqual({ failed, locked: false });
    }
  });
});
