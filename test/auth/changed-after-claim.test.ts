import { describe, expect, it } from 'vitest';
import { auditEvents } from '../support/audit.ts';
import { logIn, PASSWORD, register, required } from '../support/builders.ts';
import { expectStatus } from '../support/expect-status.ts';
import { holdUser, untilBlocked } from '../support/locks.ts';
import { counterOf, storedHash } from '../support/passwords.ts';
import { rows } from '../support/rows.ts';
import { useService } from '../support/service.ts';

/** Comparing takes a moment, in which what waits for the claim is committed. */
const service = useService({ BCRYPT_COST: '10' });

/**
 * Starts a call that presents a password, and has a statement of the test wait behind the claim of its attempt. So the call knows the user from
 * before the statement, and whatever it does after the claim begins when the statement is committed. Returns how the call ends.
 */
async function overtaken(
  userId: string,
  start: () => Promise<unknown>,
  sql: string,
  ...values: unknown[]
): Promise<() => Promise<unknown>> {
  const held = await holdUser(service, userId);
  const call = start();
  call.catch(() => undefined);
  await untilBlocked(service, 1);
  const change = rows(service, sql, [userId, ...values]);
  await untilBlocked(service, 2);
  await held.release();
  await change;
  return () => call;
}

async function hashOf(password: string): Promise<string> {
  const { id } = await register(service, { password });
  return required(await storedHash(service, id));
}

const REPLACE = 'update users set password_hash = $2 where id = $1';
const DEACTIVATE = 'update users set is_active = false where id = $1';

const sessionsOf = (userId: string) => rows(service, 'select 1 from sessions where user_id = $1', [userId]);

describe('a password that was replaced after its attempt was claimed, and before anything else', () => {
  it('does not sign in any more', async () => {
    const { id, email } = await register(service);
    const login = await overtaken(id, () => service.auth.login({ email, password: PASSWORD }), REPLACE, await hashOf('something else'));
    await expectStatus(login(), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
    expect(await sessionsOf(id)).toEqual([]);
    expect(await auditEvents(service, 'user.login', id)).toEqual([]);
    expect(await auditEvents(service, 'user.login_failed', id)).toHaveLength(1);
    expect(await counterOf(service, id)).toEqual({ failed: 1, locked: false });
    await logIn(service, email, 'something else');
  });

  it('signs in where it is the new one as well', async () => {
    const { id, email } = await register(service);
    const login = await overtaken(id, () => service.auth.login({ email, password: PASSWORD }), REPLACE, await hashOf(PASSWORD));
    await login();
    expect(await sessionsOf(id)).toHaveLength(1);
    expect(await counterOf(service, id)).toEqual({ failed: 0, locked: false });
  });

  it('does not change the password any more', async () => {
    const { id, email } = await register(service);
    const newHash = await hashOf('something else');
    const theft = { userId: id, currentPassword: PASSWORD, newPassword: 'the password of a thief' };
    const change = await overtaken(id, () => service.auth.changePassword(theft), REPLACE, newHash);
    await expectStatus(change(), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
    expect(await storedHash(service, id)).toBe(newHash);
    await logIn(service, email, 'something else');
  });
});

describe('a user who was deactivated after an attempt was claimed, and before anything else', () => {
  it('does not sign in any more', async () => {
    const { id, email } = await register(service);
    const login = await overtaken(id, () => service.auth.login({ email, password: PASSWORD }), DEACTIVATE);
    await expectStatus(login(), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
    expect(await sessionsOf(id)).toEqual([]);
    expect(await auditEvents(service, 'user.login', id)).toEqual([]);
  });

  it('does not change the password any more', async () => {
    const { id } = await register(service);
    const before = await storedHash(service, id);
    const given = { userId: id, currentPassword: PASSWORD, newPassword: 'another good passphrase' };
    const change = await overtaken(id, () => service.auth.changePassword(given), DEACTIVATE);
    await expectStatus(change(), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
    expect(await storedHash(service, id)).toBe(before);
  });
});

describe('an account that goes or is locked while an attempt waits to be claimed', () => {
  const attempt = async (userId: string, email: string, sql: string) => {
    const held = await holdUser(service, userId);
    const login = service.auth.login({ email, password: PASSWORD });
    login.catch(() => undefined);
    await untilBlocked(service, 1);
    await held.query(sql, [userId]);
    await held.release();
    return () => login;
  };

  it('fails as one that does not exist where it was erased', async () => {
    const { id, email } = await register(service);
    const login = await attempt(id, email, 'delete from users where id = $1');
    await expectStatus(login(), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
  });

  it('lets nobody in where it was locked', async () => {
    const { id, email } = await register(service);
    const login = await attempt(
      id,
      email,
      `update users set failed_attempts = 5, locked_until = now() + interval '10 minutes' where id = $1`,
    );
    // Its lock is not told to whoever has not failed as often under this email.
    await expectStatus(login(), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
    expect(await sessionsOf(id)).toEqual([]);
    expect(await counterOf(service, id)).toEqual({ failed: 5, locked: true });
  });
});
