import bcrypt from 'bcrypt';
import { describe, expect, it } from 'vitest';
import { auditEvents } from '../support/audit.ts';
import { atOnce, logIn, PASSWORD, register, signedIn } from '../support/builders.ts';
import { decode, expectInvalid, expectStatus } from '../support/expect-status.ts';
import { holdAfterCompare } from '../support/locks.ts';
import { counterOf, storedHash, storeHash } from '../support/passwords.ts';
import { bookkeeping, rows } from '../support/rows.ts';
import { startService, useService } from '../support/service.ts';
import { expectAlive, expectDead } from '../support/sessions.ts';

const service = useService();

const NEW = 'a new password';

function change(userId: string, currentPassword: string, newPassword: string, token = service.adminKey) {
  return service.auth.changePassword({ userId, currentPassword, newPassword }, { token });
}

const historyOf = (userId: string) =>
  rows<{ password_hash: string }>(service, 'select password_hash from password_history where user_id = $1 order by created_at desc', [
    userId,
  ]);

const liveSessions = async (userId: string) => (await service.sessions.listSessions({ userId })).sessions;

describe('ChangePassword', () => {
  it('replaces the password', async () => {
    const { id, email } = await register(service);
    await change(id, PASSWORD, NEW);
    await expectStatus(service.auth.login({ email, password: PASSWORD }), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
    await logIn(service, email, NEW);
    expect(await auditEvents(service, 'user.password_changed', id)).toHaveLength(1);
  });

  it('keeps the session of the caller and ends all others', async () => {
    const { user, tokens } = await signedIn(service);
    const other = await logIn(service, user.email);
    await change(user.id, PASSWORD, NEW, tokens.accessToken);
    await expectDead(service, other);
    await expectAlive(service, tokens);
    expect((await liveSessions(user.id)).map(({ id }) => id)).toEqual([tokens.sessionId]);
    const events = await rows(service, `select actor, metadata from audit_events where type = 'session.revoked' and user_id = $1`, [
      user.id,
    ]);
    expect(events).toEqual([{ actor: `user:${user.id}`, metadata: { session_id: other.sessionId, reason: 'password_changed' } }]);
  });

  it('ends every session where a service account makes the call', async () => {
    const { user, tokens } = await signedIn(service);
    await change(user.id, PASSWORD, NEW);
    await expectDead(service, tokens);
    expect(await liveSessions(user.id)).toEqual([]);
  });

  it('ends every session where the token is that of another user, who may do this', async () => {
    const [{ user, tokens }, stranger] = [await signedIn(service), await signedIn(service)];
    await service.roles.assignRole({ role: 'service', userId: stranger.user.id });
    await change(user.id, PASSWORD, NEW, stranger.tokens.accessToken);
    await expectDead(service, tokens);
    await expectAlive(service, stranger.tokens);
  });

  it('changes nothing with a forged token, or that of a session that has ended', async () => {
    const { user, tokens } = await signedIn(service);
    const ended = await logIn(service, user.email);
    await service.sessions.revokeSession({ sessionId: ended.sessionId });
    for (const token of [`${tokens.accessToken.slice(0, -4)}AAAA`, ended.accessToken]) {
      await expectStatus(change(user.id, PASSWORD, NEW, token), 'UNAUTHENTICATED', 'CALLER_UNAUTHENTICATED');
    }
    expect(await auditEvents(service, 'user.password_changed', user.id)).toEqual([]);
    await expectAlive(service, tokens);
    await expectDead(service, ended);
    await logIn(service, user.email);
  });

  it('refuses the last five passwords, and allows the sixth', async () => {
    const passwords = [PASSWORD, 'password two', 'password three', 'password four', 'password five', 'password six'];
    const { id } = await register(service);
    for (let index = 1; index < passwords.length; index++) {
      service.clock.advance(1);
      await change(id, passwords[index - 1] ?? '', passwords[index] ?? '');
    }
    for (const password of passwords.slice(1)) {
      await expectInvalid(change(id, 'password six', password), ['new_password'], 'PASSWORD_REUSED');
    }
    expect(await historyOf(id)).toHaveLength(5);
    service.clock.advance(1);
    await change(id, 'password six', PASSWORD);
    expect(await historyOf(id)).toHaveLength(5);
    await expectInvalid(change(id, PASSWORD, 'password three'), ['new_password'], 'PASSWORD_REUSED');
  });

  it('refuses the current password also where it was brought along without a history', async () => {
    const { id } = await register(service, { password: undefined });
    await storeHash(service, id, bcrypt.hashSync('brought along', 4));
    await expectInvalid(change(id, 'brought along', 'brought along'), ['new_password'], 'PASSWORD_REUSED');
    await change(id, 'brought along', NEW);
    await expectInvalid(change(id, NEW, 'brought along'), ['new_password'], 'PASSWORD_REUSED');
  });

  it('keeps as long a history as is set', async () => {
    for (const length of [0, 1, 2]) {
      const other = await startService({ PASSWORD_HISTORY: String(length) }, service.database);
      const changeThere = (userId: string, currentPassword: string, newPassword: string) =>
        other.auth.changePassword({ userId, currentPassword, newPassword });
      try {
        const { id } = await register(other);
        if (length === 0) await changeThere(id, PASSWORD, PASSWORD);
        else await expectInvalid(changeThere(id, PASSWORD, PASSWORD), ['new_password'], 'PASSWORD_REUSED');
        await changeThere(id, PASSWORD, NEW);
        if (length === 2) await expectInvalid(changeThere(id, NEW, PASSWORD), ['new_password'], 'PASSWORD_REUSED');
        else await changeThere(id, NEW, PASSWORD);
        expect(await historyOf(id)).toHaveLength(length);
      } finally {
        await other.stop();
      }
    }
  });

  it('leaves nothing behind where it is refused', async () => {
    const { user, tokens } = await signedIn(service);
    const state = async () => {
      const { updated_at, attempted_at, ...row } = await bookkeeping(service, user.id);
      return { row, history: await historyOf(user.id), changes: await auditEvents(service, 'user.password_changed', user.id) };
    };
    const before = await state();
    await expectInvalid(change(user.id, PASSWORD, PASSWORD), ['new_password'], 'PASSWORD_REUSED');
    await expectInvalid(change(user.id, PASSWORD, 'too few'), ['new_password']);
    expect(await state()).toEqual(before);
    await expectAlive(service, tokens);
  });

  it('counts a wrong current password as Login does, and tells the lock; Login does not tell it', async () => {
    const { id, email } = await register(service);
    for (let failed = 0; failed < 2; failed++) {
      await expectStatus(service.auth.login({ email, password: 'wrong' }), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
    }
    for (let failed = 0; failed < 3; failed++) {
      await expectStatus(change(id, 'wrong', NEW), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
    }
    const { retryAfterSeconds } = await expectStatus(change(id, PASSWORD, NEW), 'RESOURCE_EXHAUSTED', 'TOO_MANY_ATTEMPTS');
    expect(retryAfterSeconds).toBeGreaterThan(1790);
    // Under the email there were but two failures: the answer must not tell what belongs to it. The password is not compared.
    await expectStatus(service.auth.login({ email, password: PASSWORD }), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
    expect(await auditEvents(service, 'user.login', id)).toEqual([]);
    expect(await auditEvents(service, 'user.login_failed', id)).toHaveLength(5);
    expect(await auditEvents(service, 'user.locked', id)).toHaveLength(1);
  });

  it('compares 5 of 100 wrong current passwords sent at once', async () => {
    const { id } = await register(service);
    const results = await atOnce(100, () => change(id, 'wrong', NEW));
    const reasons = results.map((result) => decode((result as PromiseRejectedResult).reason).reason);
    expect(reasons.filter((reason) => reason === 'INVALID_CREDENTIALS')).toHaveLength(5);
    expect(reasons.filter((reason) => reason === 'TOO_MANY_ATTEMPTS')).toHaveLength(95);
    expect(await auditEvents(service, 'user.locked', id)).toHaveLength(1);
  });

  it('forgets earlier failures, and does not count a right password', async () => {
    const { id } = await register(service);
    await expectStatus(change(id, 'wrong', NEW), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
    for (let refused = 0; refused < 10; refused++) {
      await expectInvalid(change(id, PASSWORD, PASSWORD), ['new_password'], 'PASSWORD_REUSED');
    }
    expect(await counterOf(service, id)).toEqual({ failed: 1, locked: false });
    await change(id, PASSWORD, NEW);
    expect(await counterOf(service, id)).toEqual({ failed: 0, locked: false });
  });

  it('names an unknown user', async () => {
    await expectStatus(change(crypto.randomUUID(), PASSWORD, NEW), 'NOT_FOUND', 'USER_NOT_FOUND');
  });

  it('refuses a user without a password and a deactivated one', async () => {
    const bare = await register(service, { password: undefined });
    await expectStatus(change(bare.id, PASSWORD, NEW), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
    const deactivated = await register(service);
    await service.users.deactivateUser({ userId: deactivated.id });
    await expectStatus(change(deactivated.id, PASSWORD, NEW), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
  });

  it('names every violated field', async () => {
    const request = { userId: 'x', currentPassword: '', newPassword: '🔑'.repeat(257) };
    await expectInvalid(service.auth.changePassword(request), ['user_id', 'current_password', 'new_password']);
    await expectInvalid(service.auth.changePassword({}), ['user_id', 'current_password', 'new_password']);
  });

  it('lets one of several at once win, and leaves one password and a history of it', async () => {
    const { id, email } = await register(service);
    const results = await atOnce(4, (index) => change(id, PASSWORD, `new password ${index}`));
    const winners = results.flatMap(({ status }, index) => (status === 'fulfilled' ? [index] : []));
    expect(winners).toHaveLength(1);
    for (const result of results) {
      if (result.status === 'rejected') expect(decode(result.reason).reason).toBe('INVALID_CREDENTIALS');
    }
    const [newest, oldest, ...more] = (await historyOf(id)).map(({ password_hash }) => password_hash);
    expect(more).toEqual([]);
    expect(newest).toBe(await storedHash(service, id));
    expect(oldest).not.toBe(newest);
    expect(await auditEvents(service, 'user.password_changed', id)).toHaveLength(1);
    await service.users.unlockUser({ userId: id });
    await logIn(service, email, `new password ${winners[0]}`);
  });

  it('refuses a current password that has been replaced meanwhile', async () => {
    // Comparing takes a moment, in which the test can get hold of the user.
    const slow = await startService({ BCRYPT_COST: '10' }, service.database);
    try {
      const other = await register(slow, { password: 'something else' });
      const { id, email } = await register(slow);
      let call: Promise<unknown> = Promise.resolve();
      const held = await holdAfterCompare(slow, id, () => {
        call = slow.auth.changePassword({ userId: id, currentPassword: PASSWORD, newPassword: NEW });
        call.catch(() => undefined);
      });
      await held.query('update users set password_hash = $2 where id = $1', [id, await storedHash(slow, other.id)]);
      await held.release();
      await expectStatus(call, 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
      await logIn(service, email, 'something else');
      expect(await auditEvents(service, 'user.password_changed', id)).toEqual([]);
    } finally {
      await slow.stop();
    }
  });
});
