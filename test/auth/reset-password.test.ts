import { describe, expect, it } from 'vitest';
import { auditEvents, DEVICE } from '../support/audit.ts';
import { atOnce, logIn, newEmail, PASSWORD, register, registerVerified, required, signedIn } from '../support/builders.ts';
import { decode, expectInvalid, expectStatus } from '../support/expect-status.ts';
import { programWith } from '../support/grants.ts';
import { holdUser, untilBlocked } from '../support/locks.ts';
import { useMailbox } from '../support/mailbox.ts';
import { countMails, requestCode, requestReset, SUBJECTS, subjectsTo, verificationToken } from '../support/mails.ts';
import { counterOf, occupyHashThreads, storedHash } from '../support/passwords.ts';
import { auditTrail, bookkeeping, rows, whileInsertsFail } from '../support/rows.ts';
import { startService, type TestService, useService } from '../support/service.ts';
import { endingsOf, expectDead, isActive } from '../support/sessions.ts';

const mailbox = useMailbox();
const service = useService(() => ({ SMTP_URL: mailbox.url() }));

const NEW = 'an entirely different secret';

const reset = (resetToken: string, newPassword = NEW, { auth }: TestService = service) => auth.resetPassword({ resetToken, newPassword });

const refused = (token: string, at?: TestService) => expectStatus(reset(token, NEW, at), 'UNAUTHENTICATED', 'INVALID_RESET_TOKEN');

const tokenFor = (email: string, count = 1) => requestReset(service, mailbox, email, count);

const wrongLogin = (email: string) => service.auth.login({ email, password: 'not the password' });

const liveSessions = async (userId: string) => (await service.sessions.listSessions({ userId })).sessions;

describe('ResetPassword', () => {
  it('replaces the password, and does not sign in', async () => {
    const { id, email } = await register(service);
    expect(await reset(await tokenFor(email))).toEqual({});
    expect(await liveSessions(id)).toEqual([]);
    await expectStatus(service.auth.login({ email, password: PASSWORD }), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
    await logIn(service, email, NEW);
  });

  it('tells five times that a password is one of the latest, of twenty at once; then another link is mailed', async () => {
    const { email } = await registerVerified(service);
    const token = await tokenFor(email);
    // A refusal that tells nothing of the latest ones does not count.
    for (let times = 0; times < 6; times++) await expectStatus(reset(token, 'short'), 'INVALID_ARGUMENT', 'INVALID_FIELDS');
    const outcomes = await atOnce(20, () => reset(token, PASSWORD));
    const reasons = outcomes.map((outcome) => (outcome.status === 'rejected' ? decode(outcome.reason).reason : 'OK'));
    expect(reasons.filter((reason) => reason === 'PASSWORD_REUSED')).toHaveLength(5);
    expect(reasons.filter((reason) => reason === 'INVALID_RESET_TOKEN')).toHaveLength(15);
    await refused(token);
    service.clock.advance(60);
    const next = await tokenFor(email, 2);
    expect(next).not.toBe(token);
    await reset(next);
  });

  it('ends all sessions', async () => {
    const { user, tokens } = await signedIn(service, registerVerified);
    const others = [await logIn(service, user.email), await logIn(service, user.email)];
    const token = await tokenFor(user.email);
    // Asked for just before, so that whatever is remembered of them is fresh.
    for (const { accessToken } of [tokens, ...others]) expect(await isActive(service, accessToken)).toBe(true);
    await reset(token);
    for (const session of [tokens, ...others]) {
      await expectDead(service, session);
      expect(await endingsOf(service, session.sessionId)).toEqual(['password_reset']);
    }
  });

  it('lifts a lock', async () => {
    const { id, email } = await register(service);
    for (let failed = 0; failed < 5; failed++) await expectStatus(wrongLogin(email), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
    const token = await tokenFor(email);
    await expectStatus(logIn(service, email), 'RESOURCE_EXHAUSTED', 'TOO_MANY_ATTEMPTS');
    await reset(token);
    expect(await counterOf(service, id)).toEqual({ failed: 0, locked: false });
    const unlocks = await rows(service, `select metadata from audit_events where type = 'user.unlocked' and user_id = $1`, [id]);
    expect(unlocks).toEqual([{ metadata: { reason: 'reset' } }]);
    await logIn(service, email, NEW);
  });

  it('lifts a lock that has begun meanwhile', async () => {
    const { id, email } = await register(service);
    const token = await tokenFor(email);
    const held = await holdUser(service, id);
    const call = reset(token);
    await untilBlocked(service, 1);
    await held.query(`update users set failed_attempts = 5, locked_until = now() + interval '30 minutes' where id = $1`, [id]);
    await held.release();
    await call;
    expect(await counterOf(service, id)).toEqual({ failed: 0, locked: false });
    await logIn(service, email, NEW);
  });

  it('tells the user by mail, and writes down the device', async () => {
    const { id, email } = await register(service);
    const resetToken = await tokenFor(email);
    await service.auth.resetPassword({ resetToken, newPassword: NEW, client: DEVICE });
    expect(await countMails(service, mailbox, email, SUBJECTS.passwordChanged)).toBe(1);
    expect(await auditEvents(service, 'user.password_changed', id)).toEqual([
      { type: 'user.password_changed', userId: id, actor: 'service_account:test-admin', ...DEVICE },
    ]);
    const [event] = await rows(service, `select metadata from audit_events where type = 'user.password_changed' and user_id = $1`, [id]);
    expect(event?.metadata).toEqual({ by: 'reset' });
  });

  it('believes an address only from a caller that may vouch for it', async () => {
    const { key } = await programWith(service, ['identity.auth.recover']);
    const { id, email } = await register(service);
    const resetToken = await tokenFor(email);
    await service.auth.resetPassword({ resetToken, newPassword: NEW, client: DEVICE }, { token: key });
    expect(await auditEvents(service, 'user.password_changed', id)).toMatchObject([{ ...DEVICE, ipAddress: null }]);
  });

  it('proves that the email is theirs', async () => {
    const { id, email, etag } = await register(service);
    await reset(await tokenFor(email));
    const { user } = await service.users.getUser({ userId: id });
    expect(user?.emailVerified).toBe(true);
    expect(user?.etag).not.toBe(etag);
    expect(await auditEvents(service, 'user.email_verified', id)).toHaveLength(1);
  });

  it('leaves the moment alone at which the email was verified before', async () => {
    const { id, email } = await register(service);
    await service.auth.verifyEmail({ verificationToken: await verificationToken(mailbox, email) });
    const { email_verified_at } = await bookkeeping(service, id);
    await reset(await tokenFor(email));
    expect((await bookkeeping(service, id)).email_verified_at).toEqual(email_verified_at);
    expect(await auditEvents(service, 'user.email_verified', id)).toHaveLength(1);
  });

  it('gives a password to who had none', async () => {
    const { user } = await service.users.createUser({ email: newEmail() });
    const { id, email, hasPassword } = required(user);
    expect(hasPassword).toBe(false);
    await reset(await tokenFor(email));
    expect((await service.users.getUser({ userId: id })).user?.hasPassword).toBe(true);
    await logIn(service, email, NEW);
  });

  it('takes a token once', async () => {
    const { email } = await register(service);
    const token = await tokenFor(email);
    await reset(token);
    await expectStatus(reset(token, 'yet another secret'), 'UNAUTHENTICATED', 'INVALID_RESET_TOKEN');
    await logIn(service, email, NEW);
  });

  it('takes a token for one of 20 calls at once, and sets the password of that one', async () => {
    // Twenty logins that fail must not lock the account.
    const roomy = await startService({ LOCKOUT_MAX_ATTEMPTS: '100', SMTP_URL: mailbox.url() }, service.database);
    try {
      const { id, email } = await register(roomy);
      const token = await tokenFor(email);
      const passwords = Array.from({ length: 20 }, (_, index) => `entirely different secret ${index}`);
      const results = await atOnce(20, (index) => reset(token, passwords[index], roomy));

      const won = results.findIndex(({ status }) => status === 'fulfilled');
      const reasons = results.flatMap((result) => (result.status === 'rejected' ? [decode(result.reason).reason] : []));
      expect(reasons).toEqual(Array(19).fill('INVALID_RESET_TOKEN'));
      for (const [index, password] of passwords.entries()) {
        const login = logIn(roomy, email, password);
        if (index === won) await login;
        else await expectStatus(login, 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
      }
      expect(await auditEvents(service, 'user.password_changed', id)).toHaveLength(1);
    } finally {
      await roomy.stop();
    }
  });

  it('refuses everything else in one and the same way', async () => {
    const { id, email } = await register(service);
    const verification = await verificationToken(mailbox, email);
    const code = await requestCode(service, mailbox, email);
    const token = await tokenFor(email);
    const others = [verification, code, token.slice(0, -1), `${token}A`, `${token}=`, token.toUpperCase(), ` ${token}`, id, 'x', 'ü\0%'];
    const messages = new Set<string>();
    for (const other of others) messages.add((await refused(other)).message);
    expect(messages.size).toBe(1);
    await reset(token);
  });

  it('names every violated field', async () => {
    await expectInvalid(service.auth.resetPassword({}), ['reset_token', 'new_password']);
    await expectInvalid(reset('x'.repeat(513), 'ü'.repeat(513)), ['reset_token', 'new_password']);
  });

  it('tells why it refuses a password, and uses no token up for that', async () => {
    const { id, email } = await register(service, { password: 'what I had before', profile: { firstName: 'Wilhelmina' } });
    const token = await tokenFor(email);
    const before = await storedHash(service, id);
    const reasonsFor = async (password: string, reason?: 'PASSWORD_REUSED') => {
      const failure = await expectStatus(reset(token, password), 'INVALID_ARGUMENT', reason ?? 'INVALID_FIELDS');
      expect(new Set(failure.fields)).toEqual(new Set(['new_password']));
      return failure.descriptions;
    };
    const refusals = [
      await reasonsFor('Tr0ub4&'),
      await reasonsFor('password1'),
      await reasonsFor('wilhelmina1'),
      await reasonsFor(email),
      await reasonsFor('what I had before', 'PASSWORD_REUSED'),
    ];
    for (const descriptions of refusals) expect(descriptions).toHaveLength(1);
    // Four rules are told apart: names and email are one.
    expect(new Set(refusals.flat()).size).toBe(4);
    expect(await reasonsFor('qwerty')).toHaveLength(2);

    expect(await storedHash(service, id)).toBe(before);
    expect(await auditTrail(service, id)).not.toContain('user.password_changed');
    await reset(token);
    await logIn(service, email, NEW);
  });

  it('tells nothing about a password to who has no token', async () => {
    await expectStatus(reset('unknown', 'short'), 'UNAUTHENTICATED', 'INVALID_RESET_TOKEN');
  });

  it('refuses the latest passwords after it as before', async () => {
    const { id, email } = await registerVerified(service);
    await reset(await tokenFor(email));
    for (const password of [PASSWORD, NEW]) {
      await expectInvalid(reset(await tokenFor(email, password === PASSWORD ? 2 : 3), password), ['new_password'], 'PASSWORD_REUSED');
    }
    const change = service.auth.changePassword({ userId: id, currentPassword: NEW, newPassword: PASSWORD });
    await expectInvalid(change, ['new_password'], 'PASSWORD_REUSED');
  });

  it('refuses the token of a user who has been deactivated or deleted', async () => {
    const [deactivated, deleted] = [await register(service), await register(service)];
    const tokens = { deactivated: await tokenFor(deactivated.email), deleted: await tokenFor(deleted.email) };
    const before = await storedHash(service, deactivated.id);
    await service.users.deactivateUser({ userId: deactivated.id });
    await service.users.deleteUser({ userId: deleted.id });
    for (const token of Object.values(tokens)) await refused(token);
    // The rules are not told, either.
    await expectStatus(reset(tokens.deactivated, 'short'), 'UNAUTHENTICATED', 'INVALID_RESET_TOKEN');
    expect(await storedHash(service, deactivated.id)).toBe(before);
    expect(await subjectsTo(service, mailbox, deactivated.email)).not.toContainEqual(expect.stringMatching(SUBJECTS.passwordChanged));
  });

  it.each([
    ['deactivated', 'update users set is_active = false where id = $1'],
    ['deleted', 'delete from users where id = $1'],
    ['in by another link', 'delete from one_time_tokens where user_id = $1'],
  ])('refuses the token of a user who is %s meanwhile', async (what, sql) => {
    const { id, email } = await register(service);
    const token = await tokenFor(email);
    const before = await storedHash(service, id);
    const held = await holdUser(service, id);
    const call = refused(token);
    await untilBlocked(service, 1);
    await held.query(sql, [id]);
    await held.release();
    await call;
    expect(await storedHash(service, id)).toBe(what === 'deleted' ? null : before);
  });

  it('makes an end of the codes and links that were mailed before', async () => {
    const { id, email } = await register(service);
    const verification = await verificationToken(mailbox, email);
    const code = await requestCode(service, mailbox, email);
    await reset(await tokenFor(email));
    await expectStatus(service.auth.loginWithCode({ email, code }), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
    await expectStatus(service.auth.verifyEmail({ verificationToken: verification }), 'UNAUTHENTICATED', 'INVALID_VERIFICATION_TOKEN');
    expect(await rows(service, 'select 1 from one_time_tokens where user_id = $1', [id])).toEqual([]);
  });

  it('leaves nothing behind where it fails', async () => {
    const { user, tokens } = await signedIn(service);
    const token = await tokenFor(user.email);
    const before = await bookkeeping(service, user.id);
    await whileInsertsFail(service, 'audit_events', () => expectStatus(reset(token), 'INTERNAL', 'INTERNAL_ERROR'));
    expect(await bookkeeping(service, user.id)).toEqual(before);
    expect((await service.auth.introspectToken({ accessToken: tokens.accessToken })).active).toBe(true);
    await reset(token);
  });

  it('leaves no session of the old password when somebody signs in at the same time', async () => {
    const roomy = await startService({ LOCKOUT_MAX_ATTEMPTS: '1000', MAX_SESSIONS: '100', SMTP_URL: mailbox.url() }, service.database);
    try {
      for (let round = 0; round < 5; round++) {
        const { id, email } = await register(roomy);
        const token = await tokenFor(email);
        await atOnce(9, (index) => (index === 4 ? reset(token, NEW, roomy) : roomy.auth.login({ email, password: PASSWORD })));
        await logIn(roomy, email, NEW);
        expect(await liveSessions(id)).toHaveLength(1);
      }
    } finally {
      await roomy.stop();
    }
  });

  it('works across servers: asked for at one, used at another, mailed once', async () => {
    const other = await startService({ SMTP_URL: mailbox.url() }, service.database);
    try {
      const { email } = await register(service);
      const token = await requestReset(other, mailbox, email);
      const results = await atOnce(10, (index) => reset(token, NEW, index % 2 ? other : service));
      expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      await refused(token, other);
      await logIn(other, email, NEW);
      expect(await countMails(service, mailbox, email, SUBJECTS.reset)).toBe(1);
      expect(await countMails(service, mailbox, email, SUBJECTS.passwordChanged)).toBe(1);
    } finally {
      await other.stop();
    }
  });
});

describe('ResetPassword as time goes by', () => {
  // Its clock is ahead, so it must not share a database with others.
  const ahead = useService(() => ({ SMTP_URL: mailbox.url() }));

  it('takes a token for 30 minutes', async () => {
    const [early, late] = [await register(ahead), await register(ahead)];
    const tokens = { early: await requestReset(ahead, mailbox, early.email), late: await requestReset(ahead, mailbox, late.email) };
    ahead.clock.advance(29 * 60);
    await reset(tokens.early, NEW, ahead);
    ahead.clock.advance(60);
    await refused(tokens.late, ahead);
    await logIn(ahead, late.email);
  });
});

describe('ResetPassword with too many passwords to hash', () => {
  const busy = useService(() => ({ SMTP_URL: mailbox.url() }));

  it('refuses, and uses no token up for that', async () => {
    const { id, email } = await register(busy);
    const token = await requestReset(busy, mailbox, email);
    const before = await storedHash(busy, id);
    const release = await occupyHashThreads(busy);
    const shed: unknown[] = [];
    // The queue has room for 64 of them.
    const waiting = Array.from({ length: 80 }, () =>
      busy.auth.login({ email: newEmail(), password: 'x' }).catch((error) => shed.push(decode(error).reason)),
    );
    await expect.poll(() => shed).toContain('OVERLOADED');
    const { retryAfterSeconds } = await expectStatus(reset(token, NEW, busy), 'RESOURCE_EXHAUSTED', 'OVERLOADED');
    expect(retryAfterSeconds).toBeGreaterThan(0);
    expect(await storedHash(busy, id)).toBe(before);
    await release();
    await Promise.all(waiting);
    await reset(token, NEW, busy);
    await logIn(busy, email, NEW);
  });
});
