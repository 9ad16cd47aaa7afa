import { describe, expect, it } from 'vitest';
import type { User } from '../../../src/gen/identity/v1/user.ts';
import { auditEvents, DEVICE } from '../../support/audit.ts';
import { atOnce, logIn, newEmail, PASSWORD, register, required } from '../../support/builders.ts';
import { decode, expectInvalid, expectStatus } from '../../support/expect-status.ts';
import { keyOf } from '../../support/grants.ts';
import { changeMeanwhile } from '../../support/locks.ts';
import { tokenIn, useMailbox } from '../../support/mailbox.ts';
import {
  changeEmail,
  countMails,
  requestCode,
  requestEmailChange,
  requestReset,
  SUBJECTS,
  untilMailsAreSent,
} from '../../support/mails.ts';
import { bookkeeping, rows, whileInsertsFail } from '../../support/rows.ts';
import { useService } from '../../support/service.ts';
import { expectAlive, expectDead } from '../../support/sessions.ts';

const mailbox = useMailbox();
const service = useService(() => ({ SMTP_URL: mailbox.url() }));

const DAYS = 86_400;
const NEW_PASSWORD = 'an entirely different secret';

const revert = (revertToken: string) => service.auth.revertEmailChange({ revertToken });

const refused = (token: string) => expectStatus(revert(token), 'UNAUTHENTICATED', 'INVALID_REVERT_TOKEN');

const emailOf = async (userId: string) => (await bookkeeping(service, userId)).email;

/** A user whose email was changed, and the token that was mailed to the old address. */
async function changed(): Promise<{ user: User; address: string; token: string }> {
  const user = await register(service);
  const address = newEmail();
  return { user, address, token: await changeEmail(service, mailbox, user, address) };
}

/** The email of a user is changed again and again; returns the token that each of the earlier addresses was mailed. */
async function chain({ id, email }: User, addresses: readonly string[]): Promise<string[]> {
  const tokens: string[] = [];
  let current = email;
  for (const address of addresses) {
    tokens.push(await changeEmail(service, mailbox, { id, email: current }, address));
    current = address;
  }
  return tokens;
}

describe('RevertEmailChange', () => {
  it('gives the account its old email back, verified, and no password', async () => {
    const { user, address, token } = await changed();
    const { user: restored } = await revert(token);
    expect(restored).toEqual({ ...user, emailVerified: true, hasPassword: false, etag: expect.any(String) });
    expect((await service.users.getUser({ userId: user.id })).user).toEqual(restored);
    await expectStatus(service.users.lookupUser({ email: address }), 'NOT_FOUND', 'USER_NOT_FOUND');
    expect(await auditEvents(service, 'user.email_change_reverted', user.id)).toMatchObject([{ actor: 'service_account:test-admin' }]);
  });

  it('puts everybody out who is in, and lets the owner of the mailbox in again', async () => {
    const { user, address, token } = await changed();
    const intruder = required((await service.auth.login({ email: address, password: PASSWORD, client: DEVICE })).tokens);
    const key = await keyOf(service, { userId: user.id });
    const resetToken = await requestReset(service, mailbox, address);
    const code = await requestCode(service, mailbox, address);
    const emailChangeToken = await requestEmailChange(service, mailbox, user.id, newEmail());
    await revert(token);
    await expectDead(service, intruder);
    expect((await service.apiKeys.introspectApiKey({ key })).active).toBe(false);
    for (const email of [user.email, address]) {
      await expectStatus(service.auth.login({ email, password: PASSWORD }), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
      await expectStatus(service.auth.loginWithCode({ email, code }), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
    }
    await expectStatus(service.auth.resetPassword({ resetToken, newPassword: NEW_PASSWORD }), 'UNAUTHENTICATED', 'INVALID_RESET_TOKEN');
    await expectStatus(service.auth.confirmEmailChange({ emailChangeToken }), 'UNAUTHENTICATED', 'INVALID_EMAIL_CHANGE_TOKEN');
    expect(await rows(service, 'select 1 from known_devices where user_id = $1', [user.id])).toEqual([]);
    await service.auth.resetPassword({ resetToken: await requestReset(service, mailbox, user.email), newPassword: NEW_PASSWORD });
    await logIn(service, user.email, NEW_PASSWORD);
  });

  it('tells the address that it restores, and the one that it takes away', async () => {
    const { user, address, token } = await changed();
    await revert(token);
    const toOld = await mailbox.mail(user.email, SUBJECTS.emailRestored);
    expect(`${toOld.text} ${toOld.html}`).not.toContain(address);
    const toRemoved = await mailbox.mail(address, SUBJECTS.emailRemoved);
    expect(`${toRemoved.text} ${toRemoved.html}`).not.toContain(user.email);
    await untilMailsAreSent(service);
    expect(await rows(service, `select 1 from events where payload ? 'recipient'`)).toEqual([]);
  });

  it('restores the address that the token was mailed to, whatever came after it', async () => {
    const user = await register(service);
    const [toA = '', toB = '', toC = ''] = await chain(user, [newEmail(), newEmail(), newEmail()]);
    await revert(toA);
    expect(await emailOf(user.id)).toBe(user.email);
    // Those after it lead back to the intruder.
    await refused(toB);
    await refused(toC);
    expect(await emailOf(user.id)).toBe(user.email);
  });

  it('leaves the link of an earlier change, which goes further back', async () => {
    const user = await register(service);
    const b = newEmail();
    const [toA = '', toB = ''] = await chain(user, [b, newEmail()]);
    await revert(toB);
    expect(await emailOf(user.id)).toBe(b);
    await revert(toA);
    expect(await emailOf(user.id)).toBe(user.email);
  });

  it.each([
    [
      'changes the password',
      ({ user }: Awaited<ReturnType<typeof changed>>) =>
        service.auth.changePassword({ userId: user.id, currentPassword: PASSWORD, newPassword: NEW_PASSWORD }),
    ],
    [
      'resets the password',
      async ({ address }: Awaited<ReturnType<typeof changed>>) =>
        service.auth.resetPassword({ resetToken: await requestReset(service, mailbox, address), newPassword: NEW_PASSWORD }),
    ],
    [
      'asks for another change',
      ({ user }: Awaited<ReturnType<typeof changed>>) => requestEmailChange(service, mailbox, user.id, newEmail()),
    ],
  ])('cannot be taken away by an intruder who %s', async (_, act) => {
    const account = await changed();
    await act(account);
    await revert(account.token);
    expect(await emailOf(account.user.id)).toBe(account.user.email);
  });

  it('takes a token for 7 days', async () => {
    const [early, late] = [await changed(), await changed()];
    service.clock.advance(7 * DAYS - 60);
    await revert(early.token);
    service.clock.advance(60);
    await refused(late.token);
    expect(await emailOf(late.user.id)).toBe(late.address);
  });

  it('takes a token once: of 20 calls at once, one', async () => {
    const { user, token } = await changed();
    const results = await atOnce(20, () => revert(token));
    const reasons = results.flatMap((result) => (result.status === 'rejected' ? [decode(result.reason).reason] : []));
    expect(reasons).toEqual(Array(19).fill('INVALID_REVERT_TOKEN'));
    expect(await auditEvents(service, 'user.email_change_reverted', user.id)).toHaveLength(1);
    expect(await countMails(service, mailbox, user.email, SUBJECTS.emailRestored)).toBe(1);
    await refused(token);
  });

  it('refuses everything else in one and the same way, the token of the new address included', async () => {
    const user = await register(service);
    const address = newEmail();
    const emailChangeToken = await requestEmailChange(service, mailbox, user.id, address);
    await refused(emailChangeToken);
    await service.auth.confirmEmailChange({ emailChangeToken });
    const token = tokenIn(await mailbox.mail(user.email, SUBJECTS.revertChange));
    await expectStatus(service.auth.confirmEmailChange({ emailChangeToken: token }), 'UNAUTHENTICATED', 'INVALID_EMAIL_CHANGE_TOKEN');
    const messages = new Set<string>();
    for (const other of [emailChangeToken, token.slice(0, -1), `${token}A`, token.toUpperCase(), ` ${token}`, user.id, 'x', 'ü\0%']) {
      messages.add((await refused(other)).message);
    }
    expect(messages.size).toBe(1);
    expect(await emailOf(user.id)).toBe(address);
    await revert(token);
  });

  it('wants a token', async () => {
    await expectInvalid(revert(''), ['revert_token']);
    await expectInvalid(revert('x'.repeat(513)), ['revert_token']);
  });

  it('refuses the token of a user who is deactivated, until they are back, or was deleted', async () => {
    const [deactivated, deleted] = [await changed(), await changed()];
    await service.users.deactivateUser({ userId: deactivated.user.id });
    await refused(deactivated.token);
    await service.users.reactivateUser({ userId: deactivated.user.id });
    await revert(deactivated.token);
    await service.users.deleteUser({ userId: deleted.user.id });
    await refused(deleted.token);
  });

  it.each([
    ['deactivated', 'update users set is_active = false where id = $1'],
    ['deleted', 'delete from users where id = $1'],
    ['given an earlier address back', 'delete from email_changes where user_id = $1'],
  ])('refuses the token of a user who is %s meanwhile', async (_, sql) => {
    const { user, token } = await changed();
    await changeMeanwhile(service, user.id, sql, () => refused(token));
  });

  it('says that another account has the old address by now, and changes nothing: the token stays good', async () => {
    const { user, address, token } = await changed();
    const tokens = await logIn(service, address);
    const squatter = await register(service, { email: user.email });
    await expectStatus(revert(token), 'ALREADY_EXISTS', 'EMAIL_ALREADY_EXISTS');
    expect(await bookkeeping(service, user.id)).toMatchObject({ email: address });
    await expectAlive(service, tokens);
    // The owner of the mailbox gets into that account, too, and moves it out of the way.
    const code = await requestCode(service, mailbox, user.email);
    const own = required((await service.auth.loginWithCode({ email: user.email, code })).tokens);
    const elsewhere = newEmail();
    await service.auth.requestEmailChange({ userId: squatter.id, newEmail: elsewhere }, { token: own.accessToken });
    const emailChangeToken = tokenIn(await mailbox.mail(elsewhere, SUBJECTS.confirmChange));
    await service.auth.confirmEmailChange({ emailChangeToken });
    expect((await revert(token)).user?.email).toBe(user.email);
  });

  it('uses no token up, and ends nothing, where it fails', async () => {
    const { user, address, token } = await changed();
    const tokens = await logIn(service, address);
    await whileInsertsFail(service, 'audit_events', () => expectStatus(revert(token), 'INTERNAL', 'INTERNAL_ERROR'));
    expect(await emailOf(user.id)).toBe(address);
    await expectAlive(service, tokens);
    await revert(token);
  });

  it('and a further change at the same time get along: one after the other, and none is lost', async () => {
    for (let round = 0; round < 5; round++) {
      const { user, token } = await changed();
      const next = newEmail();
      const emailChangeToken = await requestEmailChange(service, mailbox, user.id, next);
      const [confirmed, reverted] = await atOnce<unknown>(2, (index) =>
        index === 0 ? service.auth.confirmEmailChange({ emailChangeToken }) : revert(token),
      );
      expect(reverted?.status).toBe('fulfilled');
      if (confirmed?.status === 'rejected') expect(decode(confirmed.reason).reason).toBe('INVALID_EMAIL_CHANGE_TOKEN');
      expect(await emailOf(user.id)).toBe(user.email);
    }
  });
});
