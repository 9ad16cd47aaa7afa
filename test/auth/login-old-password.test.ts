import { describe, expect, it } from 'vitest';
import { auditEvents } from '../support/audit.ts';
import { logIn, PASSWORD, register, required } from '../support/builders.ts';
import { expectStatus } from '../support/expect-status.ts';
import { counterOf, occupyHashThreads, storedHash, storeHash } from '../support/passwords.ts';
import { rows } from '../support/rows.ts';
import { useService } from '../support/service.ts';

const service = useService();

/**
 * Starts a call that presents a password, and stops it after its attempt is claimed, with the hash of then, and before that is compared. What
 * changes meanwhile is committed before the call goes on to anything. Returns how the call ends.
 */
async function startedBefore(
  userId: string,
  start: () => Promise<unknown>,
  change: () => Promise<unknown>,
): Promise<() => Promise<unknown>> {
  const threads = await occupyHashThreads(service, 14);
  const call = start();
  call.catch(() => undefined);
  await expect.poll(() => counterOf(service, userId), { interval: 5, timeout: 10_000 }).toEqual({ failed: 1, locked: false });
  await change();
  await threads.done;
  return () => call;
}

async function hashOf(password: string): Promise<string> {
  const { id } = await register(service, { password });
  return required(await storedHash(service, id));
}

describe('a password that was replaced after its attempt was claimed, and before anything else', () => {
  it('does not sign in any more', async () => {
    const { id, email } = await register(service);
    const newHash = await hashOf('something else');
    const login = await startedBefore(
      id,
      () => service.auth.login({ email, password: PASSWORD }),
      () => storeHash(service, id, newHash),
    );
    await expectStatus(login(), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
    expect(await rows(service, 'select 1 from sessions where user_id = $1', [id])).toEqual([]);
    expect(await auditEvents(service, 'user.login', id)).toEqual([]);
    expect(await auditEvents(service, 'user.login_failed', id)).toHaveLength(1);
    expect(await counterOf(service, id)).toEqual({ failed: 1, locked: false });
    await logIn(service, email, 'something else');
  });

  it('signs in where it is the new one as well', async () => {
    const { id, email } = await register(service);
    const newHash = await hashOf(PASSWORD);
    const login = await startedBefore(
      id,
      () => service.auth.login({ email, password: PASSWORD }),
      () => storeHash(service, id, newHash),
    );
    await login();
    expect(await rows(service, 'select 1 from sessions where user_id = $1', [id])).toHaveLength(1);
    expect(await counterOf(service, id)).toEqual({ failed: 0, locked: false });
  });

  it('does not change the password any more', async () => {
    const { id, email } = await register(service);
    const newHash = await hashOf('something else');
    const change = await startedBefore(
      id,
      () => service.auth.changePassword({ userId: id, currentPassword: PASSWORD, newPassword: 'the password of a thief' }),
      () => storeHash(service, id, newHash),
    );
    await expectStatus(change(), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
    expect(await storedHash(service, id)).toBe(newHash);
    await logIn(service, email, 'something else');
  });
});
