import { createHmac, hash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeAccessToken } from '../support/access-tokens.ts';
import { auditEvents, DEVICE } from '../support/audit.ts';
import { atOnce, logIn, newEmail, register, registerVerified, required } from '../support/builders.ts';
import { decode, expectInvalid, expectStatus, type Failure } from '../support/expect-status.ts';
import { programWith } from '../support/grants.ts';
import { useMailbox } from '../support/mailbox.ts';
import { dump, requestCode, requestReset, storedSecret, untilMailsAreSent } from '../support/mails.ts';
import { counterOf } from '../support/passwords.ts';
import { bookkeeping, rows, whileInsertsFail } from '../support/rows.ts';
import { startService, type TestService, useService } from '../support/service.ts';
import { expectAlive, isActive } from '../support/sessions.ts';

const mailbox = useMailbox();
const service = useService(() => ({ SMTP_URL: mailbox.url() }));
/** A second replica. */
const there = {} as TestService;

beforeAll(async () => void Object.assign(there, await startService({ SMTP_URL: mailbox.url() }, service.database, {}, service.clock)));
afterAll(() => there.stop?.());

/** Once no mail is under way any more: when the clock moves on, the other replica would send it again. */
async function codeFor(email: string, count = 1): Promise<string> {
  const code = await requestCode(service, mailbox, email, count);
  await untilMailsAreSent(service);
  return code;
}

const login = (email: string, code: string, { auth }: TestService = service) => auth.loginWithCode({ email, code, client: DEVICE });

const refused = (email: string, code: string, at?: TestService) =>
  expectStatus(login(email, code, at), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');

const wrongPassword = (email: string) =>
  expectStatus(service.auth.login({ email, password: 'wrong' }), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');

/** An account that five wrong passwords have locked. */
async function lock(email: string): Promise<void> {
  for (let failed = 0; failed < 5; failed++) await wrongPassword(email);
  await expectStatus(logIn(service, email), 'RESOURCE_EXHAUSTED', 'TOO_MANY_ATTEMPTS');
}

const unlocksOf = (userId: string) =>
  rows(service, `select metadata->>'reason' as reason from audit_events where type = 'user.unlocked' and user_id = $1`, [userId]);

/** Another code, a different one for each `turn`. */
const wrong = (code: string, turn = 1) => String((Number(code) + turn) % 10 ** 8).padStart(8, '0');

/** A user whose email was verified before, and what they were mailed. */
async function withCode(create = registerVerified) {
  const user = await create(service);
  return { ...user, code: await codeFor(user.email) };
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
    for (const other of ['', '1234567', '123456789', '1234567a', '１２３４５６７８', '+1234567', '1234 567', '1234.5678']) {
      await expectInvalid(login(email, other), ['code']);
    }
    await expectInvalid(service.auth.loginWithCode({ client: { ipAddress: 'x' } }), ['email', 'code', 'client.ip_address']);
    expect(code).toMatch(/^\d{8}$/);
    await login(email, code);
  });

  it.each([' ', '-', ' - ', '\u00a0', '\u2013', '\t'])('takes a code in groups, with %j between them', async (separator) => {
    const { email, code } = await withCode();
    await login(email, ` ${code.slice(0, 4)}${separator}${code.slice(4)} `);
  });

  it('takes a code once', async () => {
    const { id, email, code } = await withCode();
    await login(email, code);
    await refused(email, code);
    expect(await liveSessions(id)).toHaveLength(1);
  });

  it('takes a code for one of 20 calls at once, on two replicas', async () => {
    const { id, email, code } = await withCode();
    const results = await atOnce(20, (index) => login(email, code, index % 2 ? service : there));
    expect(reasonsOf(results)).toEqual(Array(19).fill('INVALID_CREDENTIALS'));
    expect(await liveSessions(id)).toHaveLength(1);
    expect(await auditEvents(service, 'user.login', id)).toHaveLength(1);
  });

  it('takes a code for 10 minutes', async () => {
    const [early, late] = [await withCode(), await withCode()];
    service.clock.advance(9 * 60);
    await login(early.email, early.code);
    service.clock.advance(60);
    await refused(late.email, late.code);
  });

  it('takes each code that was mailed for at least half its life, whatever is asked for after it', async () => {
    const { email, code } = await withCode();
    expect(await codeFor(email, 2)).toBe(code);
    service.clock.advance(5 * 60);
    const newer = await codeFor(email, 3);
    expect(newer).not.toBe(code);
    await login(email, code);
    // With one of them, all are used up.
    await refused(email, newer);
  });

  it('takes a code from the user alone whom it was mailed to', async () => {
    const [one, two] = [await withCode(), await withCode()];
    await refused(one.email, two.code);
    await refused(two.email, one.code);
    await refused(newEmail(), one.code);
    await login(one.email, one.code);
    await login(two.email, two.code);
  });

  it('looks at five codes, the right one among them', async () => {
    const [fair, late] = [await withCode(), await withCode()];
    for (let turn = 1; turn <= 4; turn++) await refused(fair.email, wrong(fair.code, turn));
    await login(fair.email, fair.code);

    for (let turn = 1; turn <= 5; turn++) await refused(late.email, wrong(late.code, turn));
    await refused(late.email, late.code);
    // Another code is mailed then, with five attempts of its own.
    const next = await codeFor(late.email, 2);
    expect(next).not.toBe(late.code);
    await login(late.email, next);
  });

  it('looks at five of 100 wrong codes sent at once to two replicas, for each code: the right one comes too late', async () => {
    const { id, email, code } = await withCode();
    service.clock.advance(5 * 60);
    const newer = await codeFor(email, 2);
    const results = await atOnce(100, (index) => login(email, wrong(code, index + 1), index % 2 ? service : there));
    expect(reasonsOf(results)).toEqual(Array(100).fill('INVALID_CREDENTIALS'));
    const attempts = await rows(service, `select failed_attempts from one_time_tokens where user_id = $1 and purpose = 'login_code'`, [id]);
    expect(attempts).toEqual([{ failed_attempts: 5 }, { failed_attempts: 5 }]);
    expect(await auditEvents(service, 'user.login_failed', id)).toHaveLength(100);
    for (const each of [code, newer]) await refused(email, each);
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
    for (let turn = 2; turn <= 6; turn++) failures.push(await refused(known.email, wrong(known.code, turn)));
    failures.push(await refused(known.email, known.code));
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

describe('LoginWithCode and the lockout of passwords', () => {
  it('counts wrong codes for no lock, and writes them down', async () => {
    const { id, email, code } = await withCode();
    for (let turn = 1; turn <= 7; turn++) await refused(email, wrong(code, turn));
    expect(await counterOf(service, id)).toEqual({ failed: 0, locked: false });
    expect(await auditEvents(service, 'user.locked', id)).toEqual([]);
    expect(await auditEvents(service, 'user.login_failed', id)).toHaveLength(7);
    expect(await auditEvents(service, 'user.login_failed', id)).toContainEqual(expect.objectContaining(DEVICE));
    await logIn(service, email);
  });

  it('lets in with the right code where wrong passwords have locked the account, and lifts the lock', async () => {
    const { id, email, code } = await withCode();
    await lock(email);
    await refused(email, wrong(code));
    await login(email, code);
    expect(await counterOf(service, id)).toEqual({ failed: 0, locked: false });
    expect(await unlocksOf(id)).toEqual([{ reason: 'code' }]);
  });

  it('tells the audit trail of a lock that had run out', async () => {
    const { id, email } = await withCode();
    await lock(email);
    service.clock.advance(30 * 60);
    await login(email, await codeFor(email, 2));
    expect(await unlocksOf(id)).toEqual([{ reason: 'auto' }]);
  });

  it('forgets failed passwords with a success', async () => {
    const { id, email, code } = await withCode();
    for (let failed = 1; failed <= 4; failed++) await wrongPassword(email);
    await login(email, code);
    expect(await counterOf(service, id)).toEqual({ failed: 0, locked: false });
  });

  it('counts no attempt that failed for another reason, and uses no code up for it', async () => {
    const { id, email, code } = await withCode(register);
    for (let turn = 1; turn <= 6; turn++) {
      await whileInsertsFail(service, 'sessions', () => expectStatus(login(email, code), 'INTERNAL', 'INTERNAL_ERROR'));
    }
    expect((await bookkeeping(service, id)).email_verified_at).toBeNull();
    await login(email, code);
  });

  it('counts a wrong code although it cannot be written down: the attempt was claimed before', async () => {
    const { id, email, code } = await withCode();
    await whileInsertsFail(service, 'audit_events', () => expectStatus(login(email, wrong(code)), 'INTERNAL', 'INTERNAL_ERROR'));
    const attempts = await rows(service, `select failed_attempts from one_time_tokens where user_id = $1 and purpose = 'login_code'`, [id]);
    expect(attempts).toEqual([{ failed_attempts: 1 }]);
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
    const { id, email, code } = await withCode(register);
    await login(email, code);
    expect((await service.users.getUser({ userId: id })).user?.emailVerified).toBe(true);
    await login(email, await codeFor(email, 2));
    expect(await auditEvents(service, 'user.email_verified', id)).toHaveLength(1);
  });

  it('does not prove it with a wrong code', async () => {
    const { id, email, code } = await withCode(register);
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

  it('lets in, and no password that was set before it', async () => {
    const { email } = await register(strict);
    await expectStatus(logIn(strict, email), 'FAILED_PRECONDITION', 'EMAIL_NOT_VERIFIED');
    await login(email, await requestCode(strict, mailbox, email), strict);
    await expectStatus(logIn(strict, email), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
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
