import { describe, expect, it } from 'vitest';
import { auditEvents } from '../support/audit.ts';
import { atOnce, logIn, newEmail, PASSWORD, register, required } from '../support/builders.ts';
import { expectInvalid, expectStatus } from '../support/expect-status.ts';
import { changeMeanwhile } from '../support/locks.ts';
import { useMailbox } from '../support/mailbox.ts';
import { dump, requestCode, requestReset, verificationToken } from '../support/mails.ts';
import { counterOf } from '../support/passwords.ts';
import { bookkeeping, rows, whileInsertsFail } from '../support/rows.ts';
import { type TestService, useService } from '../support/service.ts';

const mailbox = useMailbox();
const service = useService(() => ({ SMTP_URL: mailbox.url() }));

const HOURS = 3600;

const verify = (verificationToken: string, { auth }: TestService = service) => auth.verifyEmail({ verificationToken });

const refused = (token: string) => expectStatus(verify(token), 'UNAUTHENTICATED', 'INVALID_VERIFICATION_TOKEN');

/** A new user, and what they were mailed. */
async function registered() {
  const user = await register(service);
  return { user, token: await verificationToken(mailbox, user.email) };
}

const isVerified = async (userId: string) => (await bookkeeping(service, userId)).email_verified_at !== null;

describe('VerifyEmail', () => {
  it('marks the email as verified', async () => {
    const { user, token } = await registered();
    expect(await isVerified(user.id)).toBe(false);
    const before = service.clock.now();
    const { user: verified } = await verify(token);
    const { email_verified_at } = await bookkeeping(service, user.id);
    expect(Number(email_verified_at)).toBeGreaterThanOrEqual(Number(before));
    expect(Number(email_verified_at)).toBeLessThanOrEqual(Number(service.clock.now()));
    expect(verified).toEqual({ ...user, emailVerified: true, hasPassword: false, etag: expect.any(String) });
    expect(verified?.etag).not.toBe(user.etag);
    expect((await service.users.getUser({ userId: user.id })).user).toEqual(verified);
    expect(await auditEvents(service, 'user.email_verified', user.id)).toMatchObject([{ actor: 'service_account:test-admin' }]);
  });

  it('answers with the whole user', async () => {
    const profile = { firstName: 'Ada', lastName: 'Lovelace', phone: '+41446681800' };
    const user = await register(service, { profile });
    const { user: verified } = await verify(await verificationToken(mailbox, user.email));
    expect(verified?.profile).toMatchObject(profile);
  });

  it('answers the same to a token that is sent again, and changes nothing', async () => {
    const { user, token } = await registered();
    const first = await verify(token);
    const { email_verified_at } = await bookkeeping(service, user.id);
    expect(await verify(token)).toEqual(first);
    expect(await bookkeeping(service, user.id)).toMatchObject({ email_verified_at });
    expect(await auditEvents(service, 'user.email_verified', user.id)).toHaveLength(1);
  });

  it('answers 20 calls at once with one token, and verifies once', async () => {
    const { user, token } = await registered();
    const results = await atOnce(20, () => verify(token));
    expect(results.filter(({ status }) => status === 'rejected')).toEqual([]);
    expect(await auditEvents(service, 'user.email_verified', user.id)).toHaveLength(1);
  });

  it('takes a token for 24 hours', async () => {
    const [early, late] = [await registered(), await registered()];
    service.clock.advance(24 * HOURS - 60);
    await verify(early.token);
    service.clock.advance(60);
    await refused(late.token);
    expect(await isVerified(late.user.id)).toBe(false);
  });

  it('refuses everything else in one and the same way', async () => {
    const { user, token } = await registered();
    const reset = await requestReset(service, mailbox, user.email);
    const code = await requestCode(service, mailbox, user.email);
    const others = [reset, code, token.slice(0, -1), `${token}A`, `${token}=`, token.toUpperCase(), ` ${token}`, user.id, 'x', 'ü\0%'];
    const messages = new Set<string>();
    for (const other of others) messages.add((await refused(other)).message);
    expect(messages.size).toBe(1);
    expect(await isVerified(user.id)).toBe(false);
    await verify(token);
  });

  it('wants a token', async () => {
    await expectInvalid(verify(''), ['verification_token']);
    await expectInvalid(verify('x'.repeat(513)), ['verification_token']);
  });

  it('refuses the token of a user who has been deactivated or deleted', async () => {
    const [deactivated, deleted] = [await registered(), await registered()];
    await service.users.deactivateUser({ userId: deactivated.user.id });
    await refused(deactivated.token);
    expect(await isVerified(deactivated.user.id)).toBe(false);
    await service.users.deleteUser({ userId: deleted.user.id });
    await refused(deleted.token);
  });

  it.each([
    ['deactivated', 'update users set is_active = false where id = $1'],
    ['deleted', 'delete from users where id = $1'],
    ['taken back the link', 'delete from one_time_tokens where user_id = $1'],
  ])('refuses the token of a user who is %s meanwhile', async (_, sql) => {
    const { user, token } = await registered();
    await changeMeanwhile(service, user.id, sql, () => refused(token));
  });

  it('uses no token up where it fails', async () => {
    const { user, token } = await registered();
    await whileInsertsFail(service, 'audit_events', () => expectStatus(verify(token), 'INTERNAL', 'INTERNAL_ERROR'));
    expect(await isVerified(user.id)).toBe(false);
    await verify(token);
  });

  it('is checked against a hash: what was mailed is stored nowhere', async () => {
    const { user, token } = await registered();
    const stored = await dump(service);
    expect(stored).toContain(user.id);
    for (const trace of [token, Buffer.from(token).toString('hex'), Buffer.from(token, 'base64url').toString('hex')]) {
      expect(stored).not.toContain(trace);
    }
  });
});

describe('VerifyEmail with REQUIRE_VERIFIED_EMAIL', () => {
  const strict = useService(() => ({ SMTP_URL: mailbox.url(), REQUIRE_VERIFIED_EMAIL: 'true' }));

  it('opens the account, which tells before that it is not verified only to who knows the password', async () => {
    const { id, email } = await register(strict);
    const login = (password: string) => strict.auth.login({ email, password });
    await expectStatus(login('not the password'), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
    await expectStatus(login(PASSWORD), 'FAILED_PRECONDITION', 'EMAIL_NOT_VERIFIED');
    expect((await strict.sessions.listSessions({ userId: id })).sessions).toEqual([]);
    await strict.auth.verifyEmail({ verificationToken: await verificationToken(mailbox, email), password: PASSWORD });
    await logIn(strict, email);
    expect(await counterOf(strict, id)).toEqual({ failed: 0, locked: false });
  });

  it('does not ask for it of those who were created as verified elsewhere, nor of anybody unknown', async () => {
    const { user } = await strict.users.createUser({ email: newEmail(), password: PASSWORD });
    await rows(strict, 'update users set email_verified_at = now() where id = $1', [required(user).id]);
    await logIn(strict, required(user).email);
    await expectStatus(strict.auth.login({ email: newEmail(), password: PASSWORD }), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
  });
});
