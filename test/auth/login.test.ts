import { status } from '@grpc/grpc-js';
import { describe, expect, it } from 'vitest';
import { auditEvents, DEVICE } from '../support/audit.ts';
import { atOnce, logIn, newEmail, newUsername, PASSWORD, register } from '../support/builders.ts';
import { expectInvalid, expectStatus, type Failure } from '../support/expect-status.ts';
import { holdAfterCompare, untilBlocked } from '../support/locks.ts';
import { counterOf, storedHash } from '../support/passwords.ts';
import { bookkeeping, rows } from '../support/rows.ts';
import { startService, useService } from '../support/service.ts';

const service = useService();

const failedLogin = (identifier: { email?: string; username?: string }, password = 'not the password') =>
  expectStatus(service.auth.login({ ...identifier, password, client: DEVICE }), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');

/** All that a caller can see of a failure, but for what is different in every answer. */
const visible = ({ requestId, ...rest }: Failure) => rest;

const liveSessions = async (userId: string) => (await service.sessions.listSessions({ userId })).sessions;

describe('Login', () => {
  it('finds the account by email or username, in any case', async () => {
    const username = newUsername();
    const { id, email } = await register(service, { username });
    await logIn(service, email.toUpperCase());
    await logIn(service, ` ${email} `);
    await service.auth.login({ username: username.toUpperCase(), password: PASSWORD });
    expect(await liveSessions(id)).toHaveLength(3);
  });

  it('begins a session with the device it was told', async () => {
    const { id, email } = await register(service);
    const { tokens } = await service.auth.login({ email, password: PASSWORD, client: DEVICE });
    const [session] = await liveSessions(id);
    expect(session).toMatchObject({ id: tokens?.sessionId, userId: id, client: DEVICE });
    expect(await auditEvents(service, 'user.login', id)).toEqual([
      { type: 'user.login', userId: id, actor: 'service_account:test-admin', ...DEVICE },
    ]);
  });

  it('moves last_login_at, and not created_at', async () => {
    const { id, email } = await register(service);
    const before = await bookkeeping(service, id);
    expect(before.last_login_at).toEqual(before.created_at);
    service.clock.advance(60);
    await logIn(service, email);
    const after = await bookkeeping(service, id);
    expect(Number(after.last_login_at) - Number(before.last_login_at)).toBeGreaterThanOrEqual(60_000);
    expect(after.created_at).toEqual(before.created_at);
  });

  it('wants exactly one identifier', async () => {
    await expectInvalid(service.auth.login({ password: PASSWORD }), ['identifier']);
    await expectInvalid(service.auth.login({ email: newEmail(), username: 'ada', password: PASSWORD }), ['identifier']);
  });

  it('names every violated field', async () => {
    await expectInvalid(service.auth.login({}), ['identifier', 'password']);
    await expectInvalid(service.auth.login({ email: 'x', password: '', client: { ipAddress: 'x' } }), [
      'email',
      'password',
      'client.ip_address',
    ]);
  });

  it('looks at passwords of 1 to 1,024 bytes', async () => {
    const email = newEmail();
    await failedLogin({ email }, 'x');
    await failedLogin({ email }, 'é'.repeat(512));
    await expectInvalid(service.auth.login({ email, password: '' }), ['password']);
    await expectInvalid(service.auth.login({ email, password: `${'é'.repeat(512)}x` }), ['password']);
  });

  it('fails in one and the same way, whatever is wrong with the account', async () => {
    const known = await register(service);
    const deactivated = await register(service);
    await service.users.deactivateUser({ userId: deactivated.id });
    const withoutPassword = await register(service, { password: undefined });

    const failures = [
      await failedLogin({ email: known.email }),
      await failedLogin({ email: newEmail() }),
      await failedLogin({ username: newUsername() }),
      await failedLogin({ email: deactivated.email }),
      await failedLogin({ email: deactivated.email }, PASSWORD),
      await failedLogin({ email: withoutPassword.email }),
    ].map(visible);
    for (const failure of failures) expect(failure).toEqual(failures[0]);
  });

  it('remembers a failure, with the device, although the call fails', async () => {
    const { id, email } = await register(service);
    await failedLogin({ email });
    expect(await auditEvents(service, 'user.login_failed', id)).toEqual([
      { type: 'user.login_failed', userId: id, actor: 'service_account:test-admin', ...DEVICE },
    ]);
    expect(await auditEvents(service, 'user.login', id)).toEqual([]);
  });

  it('writes down a failure on an unknown account without saying for whom', async () => {
    const email = newEmail();
    const userAgent = `Agent/${crypto.randomUUID()}`;
    await expectStatus(service.auth.login({ email, password: 'x', client: { userAgent } }), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
    const events = await rows(service, 'select type, user_id, metadata from audit_events where user_agent = $1', [userAgent]);
    expect(events).toEqual([{ type: 'user.login_failed', user_id: null, metadata: {} }]);
  });

  it('lets a reactivated user in again', async () => {
    const { id, email } = await register(service);
    await service.users.deactivateUser({ userId: id });
    await service.users.reactivateUser({ userId: id });
    await logIn(service, email);
  });

  it('keeps MAX_SESSIONS sessions, and ends the least recently active one', async () => {
    const { id, email } = await register(service);
    const first = await logIn(service, email);
    const second = await logIn(service, email);
    for (let count = 3; count <= 5; count++) await logIn(service, email);
    // The first one is used again, so that the second is now the least recently active.
    service.clock.advance(120);
    await service.auth.refreshToken({ refreshToken: first.refreshToken });
    await logIn(service, email);

    const ids = (await liveSessions(id)).map((session) => session.id);
    expect(ids).toHaveLength(5);
    expect(ids).toContain(first.sessionId);
    expect(ids).not.toContain(second.sessionId);
    const events = await rows(service, `select metadata from audit_events where type = 'session.revoked' and user_id = $1`, [id]);
    expect(events).toEqual([{ metadata: { session_id: second.sessionId, reason: 'too_many_sessions' } }]);
  });

  it('keeps MAX_SESSIONS sessions when ten devices sign in at once', async () => {
    // Each attempt counts until its password is found to be right, so ten at once need room.
    const roomy = await startService({ LOCKOUT_MAX_ATTEMPTS: '100' }, service.database);
    try {
      const { id, email } = await register(roomy);
      const results = await atOnce(10, () => logIn(roomy, email));
      expect(results.map(({ status }) => status)).toEqual(Array(10).fill('fulfilled'));
      expect(await liveSessions(id)).toHaveLength(5);
      expect(await auditEvents(roomy, 'session.revoked', id)).toHaveLength(5);
      expect(await counterOf(roomy, id)).toEqual({ failed: 0, locked: false });
    } finally {
      await roomy.stop();
    }
  });
});

describe('Login with REQUIRE_VERIFIED_EMAIL', () => {
  const strict = useService({ REQUIRE_VERIFIED_EMAIL: 'true' });

  it('says that the email is not verified only to who knows the password, and does not count that', async () => {
    const { id, email } = await register(strict);
    await expectStatus(strict.auth.login({ email, password: 'wrong' }), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
    for (let count = 1; count <= 10; count++) {
      await expectStatus(strict.auth.login({ email, password: PASSWORD }), 'FAILED_PRECONDITION', 'EMAIL_NOT_VERIFIED');
    }
    expect(await counterOf(strict, id)).toEqual({ failed: 1, locked: false });
    expect((await strict.sessions.listSessions({ userId: id })).sessions).toEqual([]);
  });

  it('lets a verified user in', async () => {
    const { id, email } = await register(strict);
    await rows(strict, 'update users set email_verified_at = now() where id = $1', [id]);
    await logIn(strict, email);
  });
});

describe('Login while the account changes', () => {
  // Comparing takes a moment, in which a test can get hold of the user.
  const service = useService({ BCRYPT_COST: '10' });
  const liveSessions = async (userId: string) => (await service.sessions.listSessions({ userId })).sessions;

  /** Stops a login between comparing the password and beginning the session. */
  async function stopped(password: string) {
    const user = await register(service);
    let login: Promise<unknown> = Promise.resolve();
    const start = () => {
      login = service.auth.login({ email: user.email, password });
      login.catch(() => undefined);
    };
    const held = await holdAfterCompare(service, user.id, start);
    return { user, held, login };
  }

  it('refuses a password that has been changed meanwhile', async () => {
    const other = await register(service, { password: 'something else' });
    const { user, held, login } = await stopped(PASSWORD);
    await held.query('update users set password_hash = $2 where id = $1', [user.id, await storedHash(service, other.id)]);
    await held.release();
    await expectStatus(login, 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
    expect(await liveSessions(user.id)).toEqual([]);
    expect(await counterOf(service, user.id)).toEqual({ failed: 1, locked: false });
  });

  it('lets the right password in although its hash has been replaced meanwhile', async () => {
    const twin = await register(service);
    const { user, held, login } = await stopped(PASSWORD);
    await held.query('update users set password_hash = $2 where id = $1', [user.id, await storedHash(service, twin.id)]);
    await held.release();
    await login;
    expect(await liveSessions(user.id)).toHaveLength(1);
    expect(await counterOf(service, user.id)).toEqual({ failed: 0, locked: false });
  });

  it('counts the sessions that a parallel login has begun meanwhile', async () => {
    const { user, held, login } = await stopped(PASSWORD);
    await held.query('update users set last_login_at = now() where id = $1', [user.id]);
    await held.query(
      `insert into sessions (user_id, auth_methods, created_at, last_active_at, expires_at, refresh_family_hash, refresh_hash)
       select $1, '{pwd}', now(), now(), now() + interval '1 day', sha256(n::text::bytea), sha256(n::text::bytea) from generate_series(1, 5) n`,
      [user.id],
    );
    await held.release();
    await login;
    expect(await liveSessions(user.id)).toHaveLength(5);
  });

  it('refuses a user who has been deactivated meanwhile', async () => {
    const { user, held, login } = await stopped(PASSWORD);
    await held.query('update users set is_active = false where id = $1', [user.id]);
    await held.release();
    await expectStatus(login, 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
    expect(await liveSessions(user.id)).toEqual([]);
  });

  it.each([PASSWORD, 'a wrong password'])('refuses a user who has been deleted meanwhile (%s)', async (password) => {
    const { user, held, login } = await stopped(password);
    await held.query('delete from users where id = $1', [user.id]);
    await held.release();
    await expectStatus(login, 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
  });

  it('does not count a right password whose call is cancelled after it was compared', async () => {
    const { id, email } = await register(service);
    const caller = new AbortController();
    let login: Promise<unknown> = Promise.resolve();
    const held = await holdAfterCompare(service, id, () => {
      login = service.auth.login({ email, password: PASSWORD }, { signal: caller.signal });
      login.catch(() => undefined);
    });
    caller.abort();
    await expect(login).rejects.toMatchObject({ code: status.CANCELLED });
    // Its SQL ends with the call; now what takes the attempt back waits for the user.
    await untilBlocked(service, 1, 'with account');
    await held.release();
    await expect.poll(() => counterOf(service, id)).toEqual({ failed: 0, locked: false });
    expect(await liveSessions(id)).toEqual([]);
  });

  it('leaves no session of the old password when it is changed at the same time', async () => {
    const roomy = await startService({ LOCKOUT_MAX_ATTEMPTS: '1000', MAX_SESSIONS: '100' }, service.database);
    try {
      for (let round = 0; round < 8; round++) {
        const { id, email } = await register(roomy);
        await atOnce(9, (index) =>
          index === 4
            ? roomy.auth.changePassword({ userId: id, currentPassword: PASSWORD, newPassword: 'the new password' })
            : roomy.auth.login({ email, password: PASSWORD }),
        );
        await logIn(roomy, email, 'the new password');
        expect(await liveSessions(id)).toHaveLength(1);
      }
    } finally {
      await roomy.stop();
    }
  });
});
