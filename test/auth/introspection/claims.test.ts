import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeAccessToken } from '../../support/access-tokens.ts';
import { logIn, PASSWORD, register, registerVerified, required, signedIn } from '../../support/builders.ts';
import { createDatabase } from '../../support/database.ts';
import { keyOf, programInRoles, roleWith } from '../../support/grants.ts';
import { holdAnswer } from '../../support/held-answers.ts';
import { useMailbox } from '../../support/mailbox.ts';
import { requestCode, requestReset, verificationToken } from '../../support/mails.ts';
import { startService, type TestService } from '../../support/service.ts';
import { refresh } from '../../support/sessions.ts';
import { PROMISED_MS, staleFor } from '../../support/staleness.ts';

const mailbox = useMailbox();
let here: TestService;
let there: TestService;

beforeAll(async () => {
  const database = await createDatabase();
  here = await startService({ SMTP_URL: mailbox.url() }, database);
  there = await startService({ SMTP_URL: mailbox.url() }, database);
});

afterAll(async () => {
  await Promise.all([here?.stop(), there?.stop()]);
  await here?.database.drop();
});

const claimsOf = async (accessToken: string, { auth } = here) => required((await auth.introspectToken({ accessToken })).claims);

const isVerified = async (accessToken: string, service = here) => (await claimsOf(accessToken, service)).emailVerified;

/** A verified account, signed in. */
async function verified() {
  const session = await signedIn(here);
  await here.auth.verifyEmail({ verificationToken: await verificationToken(mailbox, session.user.email), password: PASSWORD });
  return { ...session, tokens: await logIn(here, session.user.email) };
}

describe('email_verified', () => {
  it('is in the token as it was when that was issued, by a login and by a refresh', async () => {
    const { user, tokens } = await signedIn(here);
    expect(decodeAccessToken(tokens.accessToken).claims.email_verified).toBe(false);
    await here.auth.verifyEmail({ verificationToken: await verificationToken(mailbox, user.email), password: PASSWORD });
    expect(decodeAccessToken((await refresh(here, tokens.refreshToken)).accessToken).claims.email_verified).toBe(true);
    expect(decodeAccessToken((await logIn(here, user.email)).accessToken).claims.email_verified).toBe(true);
  });

  it('is in the token that a repeated refresh gives', async () => {
    const { tokens } = await verified();
    for (let times = 1; times <= 2; times++) {
      expect(decodeAccessToken((await refresh(here, tokens.refreshToken)).accessToken).claims.email_verified).toBe(true);
    }
  });

  it.each<[string, (verificationToken: string, token: string) => Promise<unknown>]>([
    ['with the password', (verificationToken) => here.auth.verifyEmail({ verificationToken, password: PASSWORD })],
    ['in the session', (verificationToken, token) => here.auth.verifyEmail({ verificationToken }, { token })],
  ])('is introspected as it is now: where VerifyEmail %s is answered at once, elsewhere within 250 ms', async (_, prove) => {
    const { user, tokens } = await signedIn(here);
    for (const service of [here, there]) expect(await isVerified(tokens.accessToken, service)).toBe(false);
    await prove(await verificationToken(mailbox, user.email), tokens.accessToken);
    const lag = staleFor(async () => !(await isVerified(tokens.accessToken, there)));
    expect(await isVerified(tokens.accessToken)).toBe(true);
    expect(await lag).toBeLessThanOrEqual(PROMISED_MS);
    expect(decodeAccessToken(tokens.accessToken).claims.email_verified).toBe(false);
  });

  it('is not remembered as a look-up has found it that the proof has overtaken', async () => {
    const { user, tokens } = await signedIn(here);
    const proof = await verificationToken(mailbox, user.email);
    const answer = holdAnswer('sessions', tokens.sessionId);
    const first = isVerified(tokens.accessToken);
    await answer.answered();
    await here.auth.verifyEmail({ verificationToken: proof, password: PASSWORD });
    answer.release();
    expect(await first).toBe(false);
    expect(await isVerified(tokens.accessToken)).toBe(true);
  });

  it('is true after a reset of the password, which came by mail', async () => {
    const user = await register(here);
    const resetToken = await requestReset(here, mailbox, user.email);
    await here.auth.resetPassword({ resetToken, newPassword: 'a password of another kind' });
    const { accessToken } = await logIn(here, user.email, 'a password of another kind');
    expect(decodeAccessToken(accessToken).claims.email_verified).toBe(true);
    expect(await isVerified(accessToken)).toBe(true);
  });
});

describe('client_id', () => {
  const signInBy = async (token: string) => {
    const user = await register(here);
    return required((await here.auth.login({ email: user.email, password: PASSWORD }, { token })).tokens);
  };

  it('is the service account that has signed the user in, and stays so after a refresh by another', async () => {
    const shop = await programInRoles(here, ['service']);
    const tokens = await signInBy(shop.key);
    const refreshed = await refresh(here, tokens.refreshToken);
    for (const { accessToken } of [tokens, refreshed, await refresh(here, tokens.refreshToken)]) {
      expect(decodeAccessToken(accessToken).claims.client_id).toBe(shop.id);
      expect((await claimsOf(accessToken)).clientId).toBe(shop.id);
    }
  });

  it('is absent where a user has signed in by themself', async () => {
    const user = await register(here);
    await here.roles.assignRole({ userId: user.id, role: await roleWith(here, ['identity.auth.login']) });
    const { accessToken } = await signInBy(await keyOf(here, { userId: user.id }));
    expect(decodeAccessToken(accessToken).claims).not.toHaveProperty('client_id');
    expect((await claimsOf(accessToken)).clientId).toBeUndefined();
  });
});

describe('amr', () => {
  it('is what the session began with, also in introspection', async () => {
    const { email } = await registerVerified(here);
    const { tokens } = await here.auth.loginWithCode({ email, code: await requestCode(here, mailbox, email) });
    expect((await claimsOf(required(tokens).accessToken)).amr).toEqual(['otp']);
    expect((await claimsOf((await logIn(here, email)).accessToken)).amr).toEqual(['pwd']);
  });
});
