import { createHmac, hash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { decodeAccessToken } from '../support/access-tokens.ts';
import { auditEvents, DEVICE } from '../support/audit.ts';
import { atOnce, logIn, newEmail, PASSWORD, register, required } from '../support/builders.ts';
import { decode, expectInvalid, expectStatus, type Failure } from '../support/expect-status.ts';
import { programWith } from '../support/grants.ts';
import { useMailbox } from '../support/mailbox.ts';
import { countMails, dump, requestCode, requestReset, SUBJECTS, storedSecret } from '../support/mails.ts';
import { counterOf } from '../support/passwords.ts';
import { bookkeeping, rows, whileInsertsFail } from '../support/rows.ts';
import { type TestService, useService } from '../support/service.ts';
import { expectAlive, isActive } from '../support/sessions.ts';

const mailbox = useMailbox();
const service = useService(() => ({ SMTP_URL: mailbox.url() }));
/** Where the lockout does not interfere. */
const roomy = useService(() => ({ SMTP_URL: mailbox.url(), LOCKOUT_MAX_ATTEMPTS: '100' }));

const codeFor = (email: string, count = 1) => requestCode(service, mailbox, email, count);

const login = (email: string, code: string, { auth }: TestService = service) => auth.loginWithCode({ email, code, client: DEVICE });

const refused = (email: string, code: string, at?: TestService) =>
  expectStatus(login(email, code, at), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');

const locked = (email: string, code: string, at?: TestService) =>
  expectStatus(login(email, code, at), 'RESOURCE_EXHAUSTED', 'TOO_MANY_ATTEMPTS');

/** Another code, a different one for each `turn`. */
const wrong = (code: string, turn = 1) => String((Number(code) + turn) % 10 ** 8).padStart(8, '0');

/** A new user, and what they were mailed. */
async function withCode(at: TestService = service) {
  const user = await register(at);
  return { ...user, code: await requestCode(at, mailbox, user.email) };
}

const liveSessions = async (userId: string) => (await service.sessions.listSessions({ userId })).sessions;

const visible = ({ requestId, ...rest }: Failure) => rest;

const reasonsOf = (results: readonly PromiseSettledResult<unknown>[]) =>
  results.flatMap((result) => (result.status === 'rejected' ? [decode(result.reason).reason] : []));

describe('LoginWithCode', () => {
  it('begins a session as Login does, and says that a code was its proof', async () => {
    const { id, email, code } = await withCode();
    const before = service.clock.now();
    const tokens = required((await login(email.toUpperCase(), ` ${code} `)).tokens);
    const { claims, signed } = decodeAccessToken(tokens.accessToken);
    expect(signed).toBe(true);
    expect(claims).toMatchObject({ sub: id, email, sid: tokens.sessionId, amr: ['otp'] });
    expect(await liveSessions(id)).toMatchObject([{ id: tokens.sessionId, userId: id, client: DEVICE }]);
    expect(await auditEvents(service, 'user.login', id)).toEqual([
      { type: 'user.login', userId: id, actor: 'service_account:test-admin', ...DEVICE },
    ]);
    expect(Number((await bookkeeping(service, id)).last_login_at)).toBeGreaterThanOrEqual(Number(before));
    const next = await expectAlive(service, tokens);
    expect(decodeAccessToken(next.accessToken).claims.amr).toEqual(['otp']);
  });

  it('lets in who has no password', async () => {
    const { user } = await service.users.createUser({ email: newEmail() });
    const { email } = required(user);
    await login(email, await codeFor(email));
  });

  it('takes 8 digits, and an email', async () => {
    const { email, code } = await withCode();
    for (const other of ['', '1234567', '123456789', '1234567a', '１２３４５６７８', '+1234567', '1234 5678']) {
      await expectInvalid(login(email, other), ['code']);
    }
    await expectInvalid(service.auth.loginWithCode({ client: { ipAddress: 'x' } }), ['email', 'code', 'client.ip_address']);
    expect(code).toMatch(/^\d{8}$/);
    await login(email, code);
  });

  it('takes a code once', async () => {
    const { id, email, code } = await withCode();
    await login(email, code);
    await refused(email, code);
    expect(await liveSessions(id)).toHaveLength(1);
  });

  it('takes a code for one of 20 calls at once', async () => {
    const { id, email, code } = await withCode(roomy);
    const results = await atOnce(20, () => login(email, code, roomy));
    expect(reasonsOf(results)).toEqual(Array(19).fill('INVALID_CREDENTIALS'));
    expect((await roomy.sessions.listSessions({ userId: id })).sessions).toHaveLength(1);
    expect(await auditEvents(roomy, 'user.login', id)).toHaveLength(1);
  });

  it('takes a code for 10 minutes', async () => {
    const [early, late] = [await withCode(), await withCode()];
    service.clock.advance(9 * 60);
    await login(early.email, early.code);
    service.clock.advance(60);
    await refused(late.email, late.code);
  });

  it('takes the newest code alone', async () => {
    const { email, code } = await withCode();
    const newest = await codeFor(email, 2);
    await refused(email, code);
    await login(email, newest);
  });

  it('takes a code from the user alone whom it was mailed to', async () => {
    const [one, two] = [await withCode(), await withCode()];
    await refused(one.email, two.code);
    await refused(two.email, one.code);
    await refused(newEmail(), one.code);
    await login(one.email, one.code);
    await login(two.email, two.code);
  });

  it('looks at five codes, the right one among them, whatever the lockout allows', async () => {
    const [fair, late] = [await withCode(roomy), await withCode(roomy)];
    for (let turn = 1; turn <= 4; turn++) await refused(fair.email, wrong(fair.code, turn), roomy);
    await login(fair.email, fair.code, roomy);

    for (let turn = 1; turn <= 5; turn++) await refused(late.email, wrong(late.code, turn), roomy);
    await refused(late.email, late.code, roomy);
    // The account is not locked, and a new code has its own five attempts.
    await login(late.email, await requestCode(roomy, mailbox, late.email, 2), roomy);
  });

  it('looks at five of 50 wrong codes sent at once: the right one comes too late', async () => {
    const { id, email, code } = await withCode(roomy);
    const results = await atOnce(50, (index) => login(email, wrong(code, index + 1), roomy));
    expect(reasonsOf(results)).toEqual(Array(50).fill('INVALID_CREDENTIALS'));
    expect(await auditEvents(roomy, 'user.login_failed', id)).toHaveLength(50);
    await refused(email, code, roomy);
  });

  it('tells nobody what is wrong: with the code, or the account', async () => {
    const known = await withCode();
    const deactivated = await withCode();
    await service.users.deactivateUser({ userId: deactivated.id });
    const without = await register(service);
    const password = await expectStatus(
      service.auth.login({ email: without.email, password: 'wrong' }),
      'UNAUTHENTICATED',
      'INVALID_CREDENTIALS',
    );
    const failures = [
      await refused(known.email, wrong(known.code)),
      await refused(without.email, '12345678'),
      await refused(deactivated.email, deactivated.code),
      await refused(deactivated.email, wrong(deactivated.code)),
      await refused(newEmail(), '12345678'),
    ];
    for (const failure of failures) expect(visible(failure)).toEqual(visible(password));
  });

  it('leaves no session behind where the password is reset at the same time', async () => {
    for (let round = 0; round < 6; round++) {
      const { id, email, code } = await withCode();
      const token = await requestReset(service, mailbox, email);
      const calls = [() => login(email, code), () => service.auth.resetPassword({ resetToken: token, newPassword: 'another secret' })];
      if (round % 2) calls.reverse();
      const reasons = reasonsOf(await atOnce<unknown>(2, async (index) => calls[index]?.()));
      for (const reason of reasons) expect(reason).toBe('INVALID_CREDENTIALS');
      expect(await liveSessions(id)).toEqual([]);
      await refused(email, code);
    }
  });
});

describe('LoginWithCode and the lockout', () => {
  it('locks an account after five wrong codes, known or not, with the same text', async () => {
    const { id, email, code } = await withCode();
    const unknown = newEmail();
    const failures = [];
    for (const each of [email, unknown]) {
      for (let turn = 1; turn <= 5; turn++) await refused(each, wrong(code, turn));
      failures.push(await locked(each, wrong(code)));
    }
    const [ofKnown, ofUnknown] = failures.map(visible);
    for (const failure of failures) expect(failure.retryAfterSeconds).toBeGreaterThan(1790);
    expect({ ...ofKnown, retryAfterSeconds: 0 }).toEqual({ ...ofUnknown, retryAfterSeconds: 0 });
    await locked(email, code);
    expect(await auditEvents(service, 'user.login_failed', id)).toHaveLength(5);
    expect(await auditEvents(service, 'user.login_failed', id)).toContainEqual(expect.objectContaining(DEVICE));
    expect(await auditEvents(service, 'user.locked', id)).toHaveLength(1);
    expect(await countMails(service, mailbox, email, SUBJECTS.locked)).toBe(1);
  });

  it('compares 5 of 100 wrong codes sent at once, and locks once', async () => {
    const { id, email, code } = await withCode();
    const reasons = reasonsOf(await atOnce(100, (index) => login(email, wrong(code, index + 1))));
    expect(reasons.filter((reason) => reason === 'INVALID_CREDENTIALS')).toHaveLength(5);
    expect(reasons.filter((reason) => reason === 'TOO_MANY_ATTEMPTS')).toHaveLength(95);
    expect(await counterOf(service, id)).toEqual({ failed: 5, locked: true });
    expect(await auditEvents(service, 'user.locked', id)).toHaveLength(1);
  });

  it('counts codes and passwords together', async () => {
    const { email, code } = await withCode();
    for (let turn = 1; turn <= 2; turn++) await refused(email, wrong(code, turn));
    for (let turn = 1; turn <= 3; turn++) {
      await expectStatus(service.auth.login({ email, password: 'wrong' }), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
    }
    await locked(email, code);
    await expectStatus(service.auth.login({ email, password: PASSWORD }), 'RESOURCE_EXHAUSTED', 'TOO_MANY_ATTEMPTS');
  });

  it('forgets the failures with a success, of a password as well', async () => {
    const { id, email, code } = await withCode();
    for (let turn = 1; turn <= 4; turn++) await refused(email, wrong(code, turn));
    await login(email, code);
    expect(await counterOf(service, id)).toEqual({ failed: 0, locked: false });
    const next = await codeFor(email, 2);
    for (let turn = 1; turn <= 4; turn++) await refused(email, wrong(next, turn));
    await logIn(service, email);
    expect(await counterOf(service, id)).toEqual({ failed: 0, locked: false });
    await login(email, next);
  });

  it('counts no attempt that failed for another reason, and uses no code up for it', async () => {
    const { id, email, code } = await withCode();
    for (let turn = 1; turn <= 6; turn++) {
      await whileInsertsFail(service, 'sessions', () => expectStatus(login(email, code), 'INTERNAL', 'INTERNAL_ERROR'));
    }
    expect(await counterOf(service, id)).toEqual({ failed: 0, locked: false });
    expect((await bookkeeping(service, id)).email_verified_at).toBeNull();
    await login(email, code);
  });

  it('counts a wrong code nowhere where it cannot be written down', async () => {
    const { id, email, code } = await withCode();
    await whileInsertsFail(service, 'audit_events', () => expectStatus(login(email, wrong(code)), 'INTERNAL', 'INTERNAL_ERROR'));
    expect(await counterOf(service, id)).toEqual({ failed: 0, locked: false });
    const tries = await rows(service, 'select failed_attempts from one_time_tokens where user_id = $1', [id]);
    expect(tries).not.toContainEqual({ failed_attempts: 1 });
    await login(email, code);
  });
});

describe('LoginWithCode and the account', () => {
  it('keeps MAX_SESSIONS sessions', async () => {
    const { id, email, code } = await withCode();
    const first = await logIn(service, email);
    for (let count = 2; count <= 5; count++) {
      service.clock.advance(1);
      await logIn(service, email);
    }
    await login(email, code);
    expect(await liveSessions(id)).toHaveLength(5);
    expect(await isActive(service, first.accessToken)).toBe(false);
  });

  it('proves that the email is theirs', async () => {
    const { id, email, code } = await withCode();
    await login(email, code);
    expect((await service.users.getUser({ userId: id })).user?.emailVerified).toBe(true);
    await login(email, await codeFor(email, 2));
    expect(await auditEvents(service, 'user.email_verified', id)).toHaveLength(1);
  });

  it('does not prove it with a wrong code', async () => {
    const { id, email, code } = await withCode();
    await refused(email, wrong(code));
    expect((await service.users.getUser({ userId: id })).user?.emailVerified).toBe(false);
  });

  it('believes an address only from a caller that may vouch for it', async () => {
    const { key } = await programWith(service, ['identity.auth.login']);
    const { id, email, code } = await withCode();
    const failing = service.auth.loginWithCode({ email, code: wrong(code), client: DEVICE }, { token: key });
    await expectStatus(failing, 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
    await service.auth.loginWithCode({ email, code, client: DEVICE }, { token: key });
    for (const type of ['user.login_failed', 'user.login']) {
      expect(await auditEvents(service, type, id)).toMatchObject([{ ...DEVICE, ipAddress: null }]);
    }
    expect(await liveSessions(id)).toMatchObject([{ client: { ...DEVICE, ipAddress: '' } }]);
  });

  it('leaves a password as it is', async () => {
    const { email, code } = await withCode();
    await login(email, code);
    await logIn(service, email);
  });
});

describe('LoginWithCode with REQUIRE_VERIFIED_EMAIL', () => {
  const strict = useService(() => ({ SMTP_URL: mailbox.url(), REQUIRE_VERIFIED_EMAIL: 'true' }));

  it('lets in, and the password after it', async () => {
    const { email } = await register(strict);
    await expectStatus(logIn(strict, email), 'FAILED_PRECONDITION', 'EMAIL_NOT_VERIFIED');
    await login(email, await requestCode(strict, mailbox, email), strict);
    await logIn(strict, email);
  });
});

describe('a code', () => {
  it('is stored nowhere, and what is stored of it cannot be tried out without the key', async () => {
    const { id, code } = await withCode();
    const { id: rowId, hash: stored } = await storedSecret(service, id, 'login_code');
    const contents = await dump(service);
    expect(contents).toContain(stored.toString('hex'));
    // As a value of its own: among the digits of all the hashes any eight may come by chance.
    expect(contents).not.toMatch(new RegExp(`(?<![0-9a-f])${code}(?![0-9a-f])`));

    const guesses = [code, rowId + code, `${rowId}:${code}`, `code:${rowId}:${code}`, code + rowId, id + code, `${id}:${code}`];
    const attempts = guesses.flatMap((guess) => [
      hash('sha256', guess, 'hex'),
      ...['', rowId, id, code].map((key) => createHmac('sha256', key).update(guess).digest('hex')),
    ]);
    expect(attempts).not.toContain(stored.toString('hex'));
  });

  it('is any number of 8 digits, another one each time', async () => {
    const users = await Promise.all(Array.from({ length: 20 }, () => withCode()));
    expect(new Set(users.map(({ code }) => code)).size).toBe(20);
    expect(new Set(users.map(({ code }) => code.charAt(0))).size).toBeGreaterThan(2);
  });
});
