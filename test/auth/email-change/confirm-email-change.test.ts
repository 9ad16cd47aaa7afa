import { describe, expect, it } from 'vitest';
import { OneTimeSecrets } from '../../../src/auth/one-time-tokens/one-time-secrets.ts';
import { auditEvents } from '../../support/audit.ts';
import { atOnce, logIn, newEmail, PASSWORD, register, required, signedIn } from '../../support/builders.ts';
import { decode, expectInvalid, expectStatus } from '../../support/expect-status.ts';
import { keyOf } from '../../support/grants.ts';
import { changeMeanwhile } from '../../support/locks.ts';
import { useMailbox } from '../../support/mailbox.ts';
import {
  changeEmail,
  countMails,
  requestCode,
  requestEmailChange,
  requestReset,
  SUBJECTS,
  subjectsTo,
  untilMailsAreSent,
  verificationToken,
} from '../../support/mails.ts';
import { bookkeeping, rows, whileInsertsFail } from '../../support/rows.ts';
import { SECRET_KEY, useReplicas, useService } from '../../support/service.ts';
import { expectAlive, expectDead, isActive } from '../../support/sessions.ts';

const mailbox = useMailbox();
const service = useService(() => ({ SMTP_URL: mailbox.url() }));

const HOURS = 3600;

const confirm = (emailChangeToken: string) => service.auth.confirmEmailChange({ emailChangeToken });

const refused = (token: string) => expectStatus(confirm(token), 'UNAUTHENTICATED', 'INVALID_EMAIL_CHANGE_TOKEN');

const emailOf = async (userId: string) => (await bookkeeping(service, userId)).email;

/** A user who has asked for another address, and the token that was mailed there. */
async function requested() {
  const user = await register(service);
  const address = newEmail();
  return { user, address, token: await requestEmailChange(service, mailbox, user.id, address) };
}

describe('ConfirmEmailChange', () => {
  it('gives the account the new email, verified, with which its user signs in from now on', async () => {
    const { user, address, token } = await requested();
    const { user: changed } = await confirm(token);
    expect(changed).toEqual({ ...user, email: address, emailVerified: true, etag: expect.any(String) });
    expect(changed?.etag).not.toBe(user.etag);
    expect((await service.users.getUser({ userId: user.id })).user).toEqual(changed);
    expect((await service.users.lookupUser({ email: address })).user).toEqual(changed);
    await expectStatus(service.users.lookupUser({ email: user.email }), 'NOT_FOUND', 'USER_NOT_FOUND');
    expect((await service.users.listUsers({ filter: { query: address } })).users).toEqual([changed]);
    await logIn(service, address);
    await expectStatus(service.auth.login({ email: user.email, password: PASSWORD }), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
    expect(await auditEvents(service, 'user.email_changed', user.id)).toMatchObject([{ actor: 'service_account:test-admin' }]);
  });

  it('tells the old address with a link that undoes it, and the new one without', async () => {
    const { user, address, token } = await requested();
    await confirm(token);
    const toOld = await mailbox.mail(user.email, SUBJECTS.revertChange);
    expect(toOld.text).toMatch(/\/revert-email-change\?token=\S+/);
    expect(`${toOld.subject} ${toOld.text} ${toOld.html}`).not.toContain(address);
    const toNew = await mailbox.mail(address, SUBJECTS.emailChanged);
    expect(`${toNew.subject} ${toNew.text} ${toNew.html}`).not.toMatch(new RegExp(`${user.email}|token`));
    await untilMailsAreSent(service);
    expect(await countMails(service, mailbox, user.email, SUBJECTS.revertChange)).toBe(1);
  });

  it('ends every session and every link and code of before; keys and password stay', async () => {
    const { user, tokens } = await signedIn(service);
    const key = await keyOf(service, { userId: user.id });
    const verification = await verificationToken(mailbox, user.email);
    const reset = await requestReset(service, mailbox, user.email);
    const code = await requestCode(service, mailbox, user.email);
    const address = newEmail();
    await confirm(await requestEmailChange(service, mailbox, user.id, address));
    await expectDead(service, tokens);
    await expectStatus(service.auth.verifyEmail({ verificationToken: verification }), 'UNAUTHENTICATED', 'INVALID_VERIFICATION_TOKEN');
    const newPassword = 'an entirely different secret';
    await expectStatus(service.auth.resetPassword({ resetToken: reset, newPassword }), 'UNAUTHENTICATED', 'INVALID_RESET_TOKEN');
    for (const email of [user.email, address]) {
      await expectStatus(service.auth.loginWithCode({ email, code }), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
    }
    expect((await service.apiKeys.introspectApiKey({ key })).active).toBe(true);
    await logIn(service, address);
  });

  it('leaves the session that carries the call, if it is of that user', async () => {
    const { user, tokens } = await signedIn(service);
    const own = await logIn(service, user.email);
    const stranger = await signedIn(service);
    const address = newEmail();
    const emailChangeToken = await requestEmailChange(service, mailbox, user.id, address);
    await service.auth.confirmEmailChange({ emailChangeToken }, { token: own.accessToken });
    await expectDead(service, tokens);
    const { accessToken } = await expectAlive(service, own);
    expect((await service.auth.introspectToken({ accessToken })).claims?.email).toBe(address);
    expect(await isActive(service, stranger.tokens.accessToken)).toBe(true);
  });

  it('is for users themselves, and for nobody else without the permission: the link of another does not exist for them', async () => {
    const { user, address, token } = await requested();
    const stranger = await signedIn(service);
    const call = service.auth.confirmEmailChange({ emailChangeToken: token }, { token: stranger.tokens.accessToken });
    const { message } = await expectStatus(call, 'UNAUTHENTICATED', 'INVALID_EMAIL_CHANGE_TOKEN');
    expect((await refused('x')).message).toBe(message);
    const key = await keyOf(service, { userId: user.id });
    const { user: changed } = await service.auth.confirmEmailChange({ emailChangeToken: token }, { token: key });
    expect(changed?.email).toBe(address);
  });

  it('answers the same to a token that is sent again while the email stands, and changes nothing', async () => {
    const { user, token } = await requested();
    const first = await confirm(token);
    const later = await logIn(service, required(first.user).email);
    expect(await confirm(token)).toEqual(first);
    expect(await isActive(service, later.accessToken)).toBe(true);
    expect(await auditEvents(service, 'user.email_changed', user.id)).toHaveLength(1);
    await changeEmail(service, mailbox, required(first.user), newEmail());
    await refused(token);
  });

  it('answers 20 calls at once with one token, and changes the email once', async () => {
    const { user, address, token } = await requested();
    const results = await atOnce(20, () => confirm(token));
    expect(results.map(({ status }) => status)).toEqual(Array(20).fill('fulfilled'));
    expect(await emailOf(user.id)).toBe(address);
    expect(await auditEvents(service, 'user.email_changed', user.id)).toHaveLength(1);
    expect(await countMails(service, mailbox, user.email, SUBJECTS.revertChange)).toBe(1);
  });

  it('takes a token for 24 hours, used or not', async () => {
    const [early, late] = [await requested(), await requested()];
    service.clock.advance(24 * HOURS - 60);
    await confirm(early.token);
    service.clock.advance(60);
    await refused(late.token);
    await refused(early.token);
    expect(await emailOf(late.user.id)).toBe(late.user.email);
  });

  it('refuses everything else in one and the same way', async () => {
    const { user, token } = await requested();
    const other = await requested();
    await confirm(other.token);
    const reset = await requestReset(service, mailbox, user.email);
    const others = [reset, token.slice(0, -1), `${token}A`, token.toUpperCase(), ` ${token}`, user.id, 'x', 'ü\0%'];
    const messages = new Set<string>();
    for (const other of others) messages.add((await refused(other)).message);
    expect(messages.size).toBe(1);
    expect(await emailOf(user.id)).toBe(user.email);
    await confirm(token);
  });

  it('wants a token', async () => {
    await expectInvalid(confirm(''), ['email_change_token']);
    await expectInvalid(confirm('x'.repeat(513)), ['email_change_token']);
  });

  it('refuses the token of a user who has been deactivated, even when they are back, or deleted', async () => {
    const [deactivated, deleted] = [await requested(), await requested()];
    await service.users.deactivateUser({ userId: deactivated.user.id });
    await refused(deactivated.token);
    await service.users.reactivateUser({ userId: deactivated.user.id });
    await refused(deactivated.token);
    await service.users.deleteUser({ userId: deleted.user.id });
    await refused(deleted.token);
  });

  it.each([
    ['deactivated', 'update users set is_active = false where id = $1'],
    ['deleted', 'delete from users where id = $1'],
    ['mailed a newer one', 'delete from email_changes where user_id = $1'],
  ])('refuses the token of a user who is %s meanwhile', async (_, sql) => {
    const { user, token } = await requested();
    await changeMeanwhile(service, user.id, sql, () => refused(token));
  });

  it('ends the links of before a change of password: an intruder who has asked for it is out', async () => {
    const { user, token } = await requested();
    await service.auth.changePassword({ userId: user.id, currentPassword: PASSWORD, newPassword: 'an entirely different secret' });
    await refused(token);
  });

  it('uses no token up, and ends nothing, where it fails', async () => {
    const { user, tokens } = await signedIn(service);
    const address = newEmail();
    const token = await requestEmailChange(service, mailbox, user.id, address);
    await whileInsertsFail(service, 'audit_events', () => expectStatus(confirm(token), 'INTERNAL', 'INTERNAL_ERROR'));
    expect(await emailOf(user.id)).toBe(user.email);
    expect(await isActive(service, tokens.accessToken)).toBe(true);
    await confirm(token);
  });

  it('says that somebody else has the address by now, and changes nothing', async () => {
    const { user, address, token } = await requested();
    const tokens = await logIn(service, user.email);
    await register(service, { email: address });
    const failure = await expectStatus(confirm(token), 'ALREADY_EXISTS', 'EMAIL_ALREADY_EXISTS');
    expect(failure.message).not.toContain(address);
    expect(await bookkeeping(service, user.id)).toMatchObject({ email: user.email, email_verified_at: null });
    await expectAlive(service, tokens);
    expect(await subjectsTo(service, mailbox, user.email)).toEqual([expect.stringMatching(SUBJECTS.verification)]);
  });

  it('lets each of two users have the address that the other gives up', async () => {
    const [one, two] = [await register(service), await register(service)];
    await changeEmail(service, mailbox, two, newEmail());
    await changeEmail(service, mailbox, one, two.email);
    await changeEmail(service, mailbox, { id: two.id, email: String(await emailOf(two.id)) }, one.email);
    expect([await emailOf(one.id), await emailOf(two.id)]).toEqual([two.email, one.email]);
  });
});

describe('ConfirmEmailChange on two replicas', () => {
  const { here, there } = useReplicas();

  /** Users who all want the same address. The token is derived from the row, and no replica here sends mails that a test could read. */
  async function rivals(count: number, address: string) {
    const users = await Promise.all(Array.from({ length: count }, () => register(here)));
    const tokens: string[] = [];
    for (const { id } of users) {
      await here.auth.requestEmailChange({ userId: id, newEmail: address });
      const [change] = await rows<{ id: string }>(here, 'select id from email_changes where user_id = $1', [id]);
      tokens.push(secretOf(required(change).id));
    }
    return { users, tokens };
  }

  const secretOf = (id: string) => new OneTimeSecrets(SECRET_KEY).reveal('email_change', id);

  const replica = (index: number) => (index % 2 === 0 ? here : there);

  const holders = (address: string) => rows<{ id: string }>(here, 'select id from users where email = $1', [address]);

  it('has one winner among 50 users who want one address; the others are told so and keep what they have', async () => {
    const address = newEmail();
    const { users, tokens } = await rivals(50, address);
    const results = await atOnce(50, (index) => replica(index).auth.confirmEmailChange({ emailChangeToken: tokens[index] ?? '' }));
    const winners = results.flatMap((result, index) => (result.status === 'fulfilled' ? [users[index]?.id] : []));
    const failures = results.flatMap((result) => (result.status === 'rejected' ? [decode(result.reason)] : []));
    expect(winners).toHaveLength(1);
    expect(failures.map(({ code, reason }) => `${code} ${reason}`)).toEqual(Array(49).fill('ALREADY_EXISTS EMAIL_ALREADY_EXISTS'));
    expect((await holders(address)).map(({ id }) => id)).toEqual(winners);
    const losers = users.filter(({ id }) => id !== winners[0]);
    const unchanged = await rows<{ id: string; email: string }>(
      here,
      `select id, email from users where id = any($1) and email_verified_at is null`,
      [losers.map(({ id }) => id)],
    );
    expect(new Map(unchanged.map(({ id, email }) => [id, email]))).toEqual(new Map(losers.map(({ id, email }) => [id, email])));
    const changes = await rows(here, `select 1 from audit_events where type = 'user.email_changed' and user_id = any($1)`, [
      users.map(({ id }) => id),
    ]);
    expect(changes).toHaveLength(1);
  });

  it('has one winner in all with a Register of the address among them', async () => {
    for (let round = 0; round < 5; round++) {
      const address = newEmail();
      const { tokens } = await rivals(8, address);
      const calls: ((index: number) => Promise<unknown>)[] = tokens.map(
        (emailChangeToken) => (index: number) => replica(index).auth.confirmEmailChange({ emailChangeToken }),
      );
      calls.splice(round, 0, (index) => replica(index).auth.register({ email: address, password: PASSWORD }));
      const results = await atOnce(calls.length, async (index) => calls[index]?.(index));
      const reasons = results.flatMap((result) => (result.status === 'rejected' ? [decode(result.reason).reason] : []));
      expect(reasons).toEqual(Array(8).fill('EMAIL_ALREADY_EXISTS'));
      expect(await holders(address)).toHaveLength(1);
    }
  });

  it('changes once with 20 uses of one link, over both', async () => {
    const address = newEmail();
    const { users, tokens } = await rivals(1, address);
    const results = await atOnce(20, (index) => replica(index).auth.confirmEmailChange({ emailChangeToken: tokens[0] ?? '' }));
    expect(results.map(({ status }) => status)).toEqual(Array(20).fill('fulfilled'));
    const changes = await rows(here, `select 1 from audit_events where type = 'user.email_changed' and user_id = $1`, [users[0]?.id]);
    expect(changes).toHaveLength(1);
  });
});
