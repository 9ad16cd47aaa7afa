import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Tokens } from '../../../src/gen/identity/v1/tokens.ts';
import { auditEvents, DEVICE } from '../../support/audit.ts';
import { atOnce, logIn, newEmail, PASSWORD, register, required, signedIn } from '../../support/builders.ts';
import { decode, expectInvalid, expectStatus } from '../../support/expect-status.ts';
import { keyOf } from '../../support/grants.ts';
import { holdUser, untilBlocked } from '../../support/locks.ts';
import { useMailbox } from '../../support/mailbox.ts';
import { requestCode, requestReset, verificationToken } from '../../support/mails.ts';
import { counterOf } from '../../support/passwords.ts';
import { bookkeeping, rows } from '../../support/rows.ts';
import { startService, type TestService, useService } from '../../support/service.ts';
import { endingsOf, expectAlive, expectDead, isActive } from '../../support/sessions.ts';

const mailbox = useMailbox();
const service = useService(() => ({ SMTP_URL: mailbox.url() }));

/** A second replica. */
const there = {} as TestService;

beforeAll(async () => void Object.assign(there, await startService({ SMTP_URL: mailbox.url() }, service.database, {}, service.clock)));
afterAll(() => there.stop?.());

const NEW = 'an entirely different secret';

/** A stranger signs up with an address that is not theirs, and sets up all that they can. The owner gets the mail. */
async function takenByStranger() {
  const { user, tokens } = await signedIn(service);
  const key = await keyOf(service, { userId: user.id });
  return { ...user, tokens, key, link: await verificationToken(mailbox, user.email) };
}

type Taken = Awaited<ReturnType<typeof takenByStranger>>;

/** Nothing that the stranger has opens the account. */
async function expectStrangerIsOut({ email, tokens, key }: Taken): Promise<void> {
  await expectDead(service, tokens);
  expect((await service.apiKeys.introspectApiKey({ key })).active).toBe(false);
  await expectStatus(service.auth.login({ email, password: PASSWORD }), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
}

const endedBy = async (userId: string) => {
  const sql = `select metadata from audit_events where type = 'user.email_verified' and user_id = $1`;
  return (await rows<{ metadata: Record<string, string> }>(service, sql, [userId])).map(({ metadata }) => metadata);
};

const verify = (link: string, password?: string, token?: string, { auth }: TestService = service) =>
  auth.verifyEmail({ verificationToken: link, ...(password !== undefined && { password }) }, { token });

describe('the first proof of a mailbox', () => {
  it('by LoginWithCode: the owner is in, the stranger is out', async () => {
    const account = await takenByStranger();
    const code = await requestCode(service, mailbox, account.email);
    const { tokens } = await service.auth.loginWithCode({ email: account.email, code, client: DEVICE });
    await expectStrangerIsOut(account);
    await expectAlive(service, required(tokens));
    expect(await endingsOf(service, account.tokens.sessionId)).toEqual(['mailbox_proved']);
    expect(await endedBy(account.id)).toEqual([{ ended: 'password,sessions,api_keys,links,device_tokens' }]);
    expect((await service.users.getUser({ userId: account.id })).user).toMatchObject({ hasPassword: false, emailVerified: true });
  });

  it('by ResetPassword: the new password is the only one', async () => {
    const account = await takenByStranger();
    const resetToken = await requestReset(service, mailbox, account.email);
    await service.auth.resetPassword({ resetToken, newPassword: NEW });
    await expectStrangerIsOut(account);
    await logIn(service, account.email, NEW);
    expect(await endingsOf(service, account.tokens.sessionId)).toEqual(['mailbox_proved']);
    // What the stranger had for a password is none of the owner's.
    expect(await rows(service, 'select 1 from password_history where user_id = $1', [account.id])).toHaveLength(1);
  });

  it('by VerifyEmail of a backend: there is no password any more, and the owner chooses one', async () => {
    const account = await takenByStranger();
    const { user } = await verify(account.link);
    expect(user).toMatchObject({ emailVerified: true, hasPassword: false });
    expect((await service.users.getUser({ userId: account.id })).user).toEqual(user);
    await expectStrangerIsOut(account);
    const resetToken = await requestReset(service, mailbox, account.email);
    await service.auth.resetPassword({ resetToken, newPassword: NEW });
    await logIn(service, account.email, NEW);
  });

  it('forgets the passwords of before: none of them is refused as a latest one', async () => {
    const { email, link } = await takenByStranger();
    await verify(link);
    const resetToken = await requestReset(service, mailbox, email);
    await service.auth.resetPassword({ resetToken, newPassword: PASSWORD });
    await logIn(service, email);
  });

  it('is one: a second one ends nothing', async () => {
    const account = await takenByStranger();
    const code = await requestCode(service, mailbox, account.email);
    const { tokens } = await service.auth.loginWithCode({ email: account.email, code });
    const key = await keyOf(service, { userId: account.id });
    await service.auth.loginWithCode({ email: account.email, code: await requestCode(service, mailbox, account.email, 2) });
    await expectAlive(service, required(tokens));
    expect((await service.apiKeys.introspectApiKey({ key })).active).toBe(true);
    expect(await endedBy(account.id)).toHaveLength(1);
  });
});

describe('VerifyEmail in a session of the account', () => {
  it('leaves that session, and the password with which it began; all others end', async () => {
    const account = await takenByStranger();
    const own = await logIn(service, account.email);
    const { user } = await verify(account.link, undefined, own.accessToken);
    expect(user).toMatchObject({ emailVerified: true, hasPassword: true });
    await expectAlive(service, own);
    await expectDead(service, account.tokens);
    expect((await service.apiKeys.introspectApiKey({ key: account.key })).active).toBe(false);
    await logIn(service, account.email);
    expect(await endedBy(account.id)).toEqual([{ ended: 'sessions,api_keys,device_tokens' }]);
    expect(await auditEvents(service, 'user.email_verified', account.id)).toMatchObject([{ actor: `user:${account.id}` }]);
  });

  it('ends the password where the session began with something else', async () => {
    const account = await takenByStranger();
    await rows(service, `update sessions set auth_methods = '{otp}' where id = $1`, [account.tokens.sessionId]);
    const { user } = await verify(account.link, undefined, account.tokens.accessToken);
    expect(user).toMatchObject({ emailVerified: true, hasPassword: false });
    await expectAlive(service, account.tokens);
    await expectStatus(service.auth.login({ email: account.email, password: PASSWORD }), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
  });

  it('with an API key of the account is in no session: everything ends, the key as well', async () => {
    const account = await takenByStranger();
    await verify(account.link, undefined, account.key);
    await expectStrangerIsOut(account);
  });

  it('does not exist for other users, and verifies nothing for them', async () => {
    const [account, other] = [await takenByStranger(), await signedIn(service)];
    for (const password of [undefined, PASSWORD]) {
      const call = verify(account.link, password, other.tokens.accessToken);
      await expectStatus(call, 'UNAUTHENTICATED', 'INVALID_VERIFICATION_TOKEN');
    }
    expect((await bookkeeping(service, account.id)).email_verified_at).toBeNull();
    expect(await counterOf(service, account.id)).toEqual({ failed: 0, locked: false });
    await expectAlive(service, account.tokens);
  });
});

describe('VerifyEmail with the password', () => {
  it('ends nothing: it was the account of whoever reads the mail', async () => {
    const account = await takenByStranger();
    const { user } = await verify(account.link, PASSWORD);
    expect(user).toMatchObject({ emailVerified: true, hasPassword: true });
    await expectAlive(service, account.tokens);
    expect((await service.apiKeys.introspectApiKey({ key: account.key })).active).toBe(true);
    await logIn(service, account.email);
    expect(await endedBy(account.id)).toEqual([{}]);
  });

  it('verifies nothing where it is wrong, which counts as at Login', async () => {
    const { id, email, link } = await takenByStranger();
    for (let failed = 1; failed <= 4; failed++) await expectStatus(verify(link, 'wrong'), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
    expect((await bookkeeping(service, id)).email_verified_at).toBeNull();
    expect(await auditEvents(service, 'user.login_failed', id)).toHaveLength(4);
    await expectStatus(service.auth.login({ email, password: 'wrong' }), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
    await expectStatus(verify(link, PASSWORD), 'RESOURCE_EXHAUSTED', 'TOO_MANY_ATTEMPTS');
    expect((await bookkeeping(service, id)).email_verified_at).toBeNull();
    // The link alone proves the mailbox, lock or not.
    expect((await verify(link)).user?.emailVerified).toBe(true);
  });

  it('forgets the failures before it', async () => {
    const { id, link } = await takenByStranger();
    for (let failed = 1; failed <= 3; failed++) await expectStatus(verify(link, 'wrong'), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
    await verify(link, PASSWORD);
    expect(await counterOf(service, id)).toEqual({ failed: 0, locked: false });
  });

  it('is wrong for an account without one', async () => {
    const { email } = required((await service.auth.register({ email: newEmail() })).user);
    await expectStatus(verify(await verificationToken(mailbox, email), PASSWORD), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
  });

  it('does not look at it where the link is worth nothing, or the email is verified: nobody guesses it there', async () => {
    const { id, link } = await takenByStranger();
    await expectStatus(verify('unknown', 'wrong'), 'UNAUTHENTICATED', 'INVALID_VERIFICATION_TOKEN');
    await verify(link, PASSWORD);
    expect((await verify(link, 'wrong')).user?.hasPassword).toBe(true);
    expect(await auditEvents(service, 'user.login_failed', id)).toEqual([]);
  });

  it('wants one of 1 to 1,024 bytes', async () => {
    await expectInvalid(verify('token', ''), ['password']);
    await expectInvalid(verify('token', 'ü'.repeat(513)), ['password']);
  });

  it('refuses the link of a user who is deactivated while it is compared', async () => {
    const { id, link } = await takenByStranger();
    const held = await holdUser(service, id);
    const call = expectStatus(verify(link, PASSWORD), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
    await untilBlocked(service, 1);
    await held.query('update users set is_active = false where id = $1', [id]);
    await held.release();
    await call;
    expect((await bookkeeping(service, id)).email_verified_at).toBeNull();
  });
});

describe('at the moment of the first proof', () => {
  const reasonOf = (result: PromiseSettledResult<unknown> | undefined) =>
    result?.status === 'rejected' ? decode(result.reason).reason : 'OK';

  /** The proof against something that the stranger does at the same time: whoever comes first, nothing of it is left. */
  async function meanwhile(rounds: number, act: (account: Taken) => Promise<unknown>, told: readonly string[]) {
    for (let round = 0; round < rounds; round++) {
      const account = await takenByStranger();
      const calls = [() => verify(account.link), () => act(account)];
      if (round % 2) calls.reverse();
      const results = await atOnce<unknown>(2, async (index) => calls[index]?.());
      const [proof, other] = round % 2 ? results.toReversed() : results;
      expect(reasonOf(proof)).toBe('OK');
      expect(told).toContain(reasonOf(other));
      const live = await rows(service, 'select 1 from sessions where user_id = $1 and revoked_at is null', [account.id]);
      const keys = await rows(service, 'select 1 from api_keys where user_id = $1 and revoked_at is null', [account.id]);
      expect([live, keys]).toEqual([[], []]);
    }
  }

  it('a Login leaves no session behind', async () => {
    await meanwhile(10, ({ email }) => logIn(there, email), ['OK', 'INVALID_CREDENTIALS']);
  });

  it('a key that is made in a session of before does not outlive it', async () => {
    // On the other replica, which hears of the end of the session later.
    const make = ({ id, tokens }: Taken) => there.apiKeys.createApiKey({ userId: id, name: 'mine' }, { token: tokens.accessToken });
    await meanwhile(10, make, ['OK', 'CALLER_UNAUTHENTICATED']);
  });

  it('a key that waits for the account is not made after it', async () => {
    const { id, tokens, link } = await takenByStranger();
    const held = await holdUser(service, id);
    const proof = verify(link);
    await untilBlocked(service, 1);
    const key = there.apiKeys.createApiKey({ userId: id, name: 'mine' }, { token: tokens.accessToken });
    const refused = expectStatus(key, 'UNAUTHENTICATED', 'CALLER_UNAUTHENTICATED');
    await untilBlocked(service, 2);
    await held.release();
    await proof;
    await refused;
  });

  it('a refresh, or a new password, does not keep the stranger in', async () => {
    await meanwhile(6, ({ tokens }) => service.auth.refreshToken({ refreshToken: tokens.refreshToken }), ['OK', 'INVALID_REFRESH_TOKEN']);
    const change = ({ id, tokens }: Taken) =>
      service.auth.changePassword({ userId: id, currentPassword: PASSWORD, newPassword: NEW }, { token: tokens.accessToken });
    await meanwhile(6, change, ['OK', 'INVALID_CREDENTIALS', 'CALLER_UNAUTHENTICATED']);
  });

  it('20 calls with one link, on two replicas, are one proof, and the carrying session goes on', async () => {
    const account = await takenByStranger();
    const results = await atOnce(20, (index) => verify(account.link, undefined, account.tokens.accessToken, index % 2 ? service : there));
    expect(results.map(reasonOf)).toEqual(Array(20).fill('OK'));
    expect(await endedBy(account.id)).toHaveLength(1);
    expect(await isActive(service, account.tokens.accessToken)).toBe(true);
  });
});

describe('an account that was verified before', () => {
  it('loses nothing by a code, a link or a reset but what a reset ends', async () => {
    const { user, tokens } = await signedIn(service);
    await verify(await verificationToken(mailbox, user.email), PASSWORD);
    await service.auth.loginWithCode({ email: user.email, code: await requestCode(service, mailbox, user.email) });
    const { accessToken }: Tokens = await expectAlive(service, tokens);
    await logIn(service, user.email);
    expect(await isActive(service, accessToken)).toBe(true);
    expect(await register(service)).toMatchObject({ emailVerified: false });
  });
});
