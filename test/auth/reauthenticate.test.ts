import { describe, expect, it } from 'vitest';
import { decodeAccessToken } from '../support/access-tokens.ts';
import { auditEvents, DEVICE } from '../support/audit.ts';
import { atOnce, logIn, newEmail, PASSWORD, register, registerVerified, required, signedIn } from '../support/builders.ts';
import { expectInvalid, expectStatus } from '../support/expect-status.ts';
import { keyOf, programInRoles } from '../support/grants.ts';
import { useMailbox } from '../support/mailbox.ts';
import { requestCode } from '../support/mails.ts';
import { bookkeeping, rows } from '../support/rows.ts';
import { useService } from '../support/service.ts';
import { expectAlive, isActive, refresh } from '../support/sessions.ts';

const mailbox = useMailbox();
const service = useService(() => ({ SMTP_URL: mailbox.url() }));

const reauthenticate = (token: string, password = PASSWORD) => service.auth.reauthenticate({ password, client: DEVICE }, { token });

const claimsOf = (accessToken: string) => decodeAccessToken(accessToken).claims;

const sessionsOf = (userId: string) => rows(service, 'select id from sessions where user_id = $1 and revoked_at is null', [userId]);

const refusedAsWrong = (call: Promise<unknown>) => expectStatus(call, 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');

describe('Reauthenticate', () => {
  it('answers an access token of the same session with a new auth_time, and no refresh token', async () => {
    const { user, tokens } = await signedIn(service);
    service.clock.advance(700);
    const { tokens: renewed } = await reauthenticate(tokens.accessToken);
    const { accessToken, ...rest } = required(renewed);
    expect(rest).toEqual({
      tokenType: 'Bearer',
      expiresIn: 900,
      refreshToken: '',
      refreshExpiresIn: expect.any(Number),
      sessionId: tokens.sessionId,
    });
    expect(rest.refreshExpiresIn).toBeLessThanOrEqual(tokens.refreshExpiresIn - 700);
    const [before, after] = [claimsOf(tokens.accessToken), claimsOf(accessToken)];
    expect(after).toMatchObject({ sub: user.id, sid: tokens.sessionId, amr: ['pwd'], client_id: before.client_id });
    expect(Number(after.auth_time) - Number(before.auth_time)).toBeGreaterThanOrEqual(700);
    expect(await isActive(service, accessToken)).toBe(true);
  });

  it('begins no session, ends none, and leaves the refresh token and the old access token good', async () => {
    const { user, tokens } = await signedIn(service);
    const before = await sessionsOf(user.id);
    await reauthenticate(tokens.accessToken);
    expect(await sessionsOf(user.id)).toEqual(before);
    await expectAlive(service, tokens);
  });

  it('is known to the tokens of the next refreshes, also where they are repeated', async () => {
    const { tokens } = await signedIn(service);
    service.clock.advance(700);
    const renewed = claimsOf(required((await reauthenticate(tokens.accessToken)).tokens).accessToken);
    for (let times = 1; times <= 2; times++) {
      expect(claimsOf((await refresh(service, tokens.refreshToken)).accessToken).auth_time).toBe(renewed.auth_time);
    }
  });

  it('changes nothing in the other sessions of the user', async () => {
    const { user, tokens } = await signedIn(service);
    const other = await logIn(service, user.email);
    service.clock.advance(700);
    await reauthenticate(tokens.accessToken);
    expect(claimsOf((await refresh(service, other.refreshToken)).accessToken).auth_time).toBe(claimsOf(other.accessToken).auth_time);
  });

  it('adds the method to those of the session, once', async () => {
    const { email } = await registerVerified(service);
    const { tokens } = await service.auth.loginWithCode({ email, code: await requestCode(service, mailbox, email) });
    const token = required(tokens).accessToken;
    for (let times = 1; times <= 2; times++) {
      expect(claimsOf(required((await reauthenticate(token)).tokens).accessToken).amr).toEqual(['otp', 'pwd']);
    }
    expect(claimsOf((await refresh(service, required(tokens).refreshToken)).accessToken).amr).toEqual(['otp', 'pwd']);
  });

  it('is in the audit trail, and moves last_login_at', async () => {
    const { user, tokens } = await signedIn(service);
    const { last_login_at: before } = await bookkeeping(service, user.id);
    service.clock.advance(5);
    await reauthenticate(tokens.accessToken);
    const events = await auditEvents(service, 'session.reauthenticated', user.id);
    expect(events).toMatchObject([{ actor: `user:${user.id}`, userAgent: DEVICE.userAgent, deviceName: DEVICE.deviceName }]);
    expect(Number((await bookkeeping(service, user.id)).last_login_at)).toBeGreaterThanOrEqual(Number(before) + 5000);
  });

  it.each([
    ['a code of an app', { totpCode: '123456' }, ['totp_code']],
    ['a passkey', { passkeyCredential: '{}' }, ['passkey_credential']],
    ['nothing', {}, ['credential']],
    ['an empty password', { password: '' }, ['password']],
    ['a password of more than 1,024 bytes', { password: 'x'.repeat(1025) }, ['password']],
  ])('refuses %s', async (_, credential, fields) => {
    const { tokens } = await signedIn(service);
    await expectInvalid(service.auth.reauthenticate(credential, { token: tokens.accessToken }), fields);
  });
});

describe('Reauthenticate is about the session of the access token', () => {
  const refused = (token: string) => expectStatus(reauthenticate(token), 'PERMISSION_DENIED', 'SESSION_REQUIRED');

  it('so it refuses a service account', async () => {
    await refused((await programInRoles(service, ['admin'])).key);
  });

  it('so it refuses an API key of a user, with the right password as well', async () => {
    const user = await register(service);
    await refused(await keyOf(service, { userId: user.id }));
    expect((await bookkeeping(service, user.id)).failed_attempts).toBe(0);
  });

  it('so it refuses one that has ended', async () => {
    const { tokens } = await signedIn(service);
    await service.sessions.revokeSession({ sessionId: tokens.sessionId });
    await expectStatus(reauthenticate(tokens.accessToken), 'UNAUTHENTICATED', 'CALLER_UNAUTHENTICATED');
  });
});

describe('a password that Reauthenticate is given is a guess like any other', () => {
  it('a wrong one counts, is in the audit trail, and leaves the session as it was', async () => {
    const { user, tokens } = await signedIn(service);
    service.clock.advance(700);
    await refusedAsWrong(reauthenticate(tokens.accessToken, 'wrong'));
    expect((await bookkeeping(service, user.id)).failed_attempts).toBe(1);
    expect(await auditEvents(service, 'user.login_failed', user.id)).toHaveLength(1);
    const { auth_time: before } = claimsOf(tokens.accessToken);
    expect(claimsOf((await refresh(service, tokens.refreshToken)).accessToken).auth_time).toBe(before);
  });

  it('a right one clears the count', async () => {
    const { user, tokens } = await signedIn(service);
    await refusedAsWrong(reauthenticate(tokens.accessToken, 'wrong'));
    await reauthenticate(tokens.accessToken);
    expect((await bookkeeping(service, user.id)).failed_attempts).toBe(0);
  });

  it('of twenty wrong ones at once, five are compared; then the right one is refused here, and not looked at elsewhere', async () => {
    const { user, tokens } = await signedIn(service);
    await atOnce(20, () => reauthenticate(tokens.accessToken, 'wrong'));
    expect(await auditEvents(service, 'user.login_failed', user.id)).toHaveLength(5);
    await expectStatus(reauthenticate(tokens.accessToken), 'RESOURCE_EXHAUSTED', 'TOO_MANY_ATTEMPTS');
    // A lock is told under the name alone that was tried (ADR 20).
    await expectStatus(service.auth.login({ email: user.email, password: PASSWORD }), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
  });

  it('an account without one is refused, and signs in anew by a mailed code', async () => {
    const email = newEmail();
    await register(service, { email, password: undefined });
    const signIn = async (count: number) => {
      const { tokens } = await service.auth.loginWithCode({ email, code: await requestCode(service, mailbox, email, count) });
      return required(tokens).accessToken;
    };
    await refusedAsWrong(reauthenticate(await signIn(1)));
    const userId = String(claimsOf(await signIn(2)).sub);
    expect((await bookkeeping(service, userId)).failed_attempts).toBe(0);
  });
});
