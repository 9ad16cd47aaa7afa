import { describe, expect, it } from 'vitest';
import { auditEvents, DEVICE } from '../../support/audit.ts';
import { logIn, newEmail, register, signedIn } from '../../support/builders.ts';
import { expectInvalid, expectStatus } from '../../support/expect-status.ts';
import { useMailbox } from '../../support/mailbox.ts';
import { dump, requestEmailChange, requestReset, SUBJECTS, subjectsTo, untilMailsAreSent } from '../../support/mails.ts';
import { rows } from '../../support/rows.ts';
import { useService } from '../../support/service.ts';
import { isActive } from '../../support/sessions.ts';

const mailbox = useMailbox();
const service = useService(() => ({ SMTP_URL: mailbox.url() }));

const pending = (userId: string) =>
  rows<{ newEmail: string }>(service, `select new_email as "newEmail" from email_changes where user_id = $1 and confirmed_at is null`, [
    userId,
  ]);

describe('RequestEmailChange', () => {
  it('mails a link to the new address, with a token of 256 bits, and nothing to the old one', async () => {
    const user = await register(service);
    const address = newEmail();
    const token = await requestEmailChange(service, mailbox, user.id, address);
    expect(Buffer.from(token, 'base64url')).toHaveLength(32);
    const { text = '', html } = await mailbox.mail(address, SUBJECTS.confirmChange);
    expect(text).toContain(`/confirm-email-change?token=${token}`);
    expect(`${text} ${html}`).not.toContain(user.email);
    expect(await subjectsTo(service, mailbox, user.email)).toEqual([expect.stringMatching(SUBJECTS.verification)]);
  });

  it('changes nothing yet: email, session, password and links of before stay', async () => {
    const { user, tokens } = await signedIn(service);
    const resetToken = await requestReset(service, mailbox, user.email);
    await requestEmailChange(service, mailbox, user.id, newEmail());
    expect((await service.users.getUser({ userId: user.id })).user).toEqual(user);
    expect(await isActive(service, tokens.accessToken)).toBe(true);
    await logIn(service, user.email);
    await service.auth.resetPassword({ resetToken, newPassword: 'an entirely different secret' });
  });

  it('is for users themselves and for nobody else without the permission', async () => {
    const { user, tokens } = await signedIn(service);
    const other = await register(service);
    await service.auth.requestEmailChange({ userId: user.id, newEmail: newEmail() }, { token: tokens.accessToken });
    const call = service.auth.requestEmailChange({ userId: other.id, newEmail: newEmail() }, { token: tokens.accessToken });
    await expectStatus(call, 'PERMISSION_DENIED', 'PERMISSION_DENIED');
    expect(await pending(other.id)).toEqual([]);
  });

  it('is written down with the device, and without an address in the clear', async () => {
    const { id } = await register(service);
    const address = newEmail();
    await service.auth.requestEmailChange({ userId: id, newEmail: address, client: DEVICE });
    const { ipAddress, userAgent, deviceName } = DEVICE;
    expect(await auditEvents(service, 'user.email_change_requested', id)).toMatchObject([{ ipAddress, userAgent, deviceName }]);
    const told = await rows(service, 'select 1 from audit_events a, events e where row(a)::text like $1 or row(e)::text like $1', [
      `%${address}%`,
    ]);
    expect(told).toEqual([]);
  });

  it('answers the same for an address that somebody has, whom it sends nothing', async () => {
    const [user, other] = [await register(service), await register(service)];
    expect(await service.auth.requestEmailChange({ userId: user.id, newEmail: other.email })).toEqual(
      await service.auth.requestEmailChange({ userId: user.id, newEmail: newEmail() }),
    );
    await service.auth.requestEmailChange({ userId: user.id, newEmail: ` ${other.email.toUpperCase()} ` });
    expect(await subjectsTo(service, mailbox, other.email)).toEqual([expect.stringMatching(SUBJECTS.verification)]);
    expect(await pending(user.id)).toEqual([{ newEmail: other.email }]);
  });

  it('sends nothing to an address that somebody takes before the mail is sent', async () => {
    const user = await register(service);
    const address = newEmail();
    const holder = await service.database.pool.connect();
    await holder.query('begin');
    await holder.query('select from event_cursors for update');
    await service.auth.requestEmailChange({ userId: user.id, newEmail: address });
    await register(service, { email: address });
    await holder.query('commit');
    holder.release();
    await mailbox.mail(address, SUBJECTS.verification);
    expect(await subjectsTo(service, mailbox, address)).toEqual([expect.stringMatching(SUBJECTS.verification)]);
  });

  it('takes the newest request alone', async () => {
    const user = await register(service);
    const [first, second] = [newEmail(), newEmail()];
    const earlier = await requestEmailChange(service, mailbox, user.id, first);
    const newest = await requestEmailChange(service, mailbox, user.id, second);
    await expectStatus(service.auth.confirmEmailChange({ emailChangeToken: earlier }), 'UNAUTHENTICATED', 'INVALID_EMAIL_CHANGE_TOKEN');
    const { user: changed } = await service.auth.confirmEmailChange({ emailChangeToken: newest });
    expect(changed?.email).toBe(second);
  });

  it('refuses the email that the user has, in any spelling, and what is no email', async () => {
    const { id, email } = await register(service);
    await expectInvalid(service.auth.requestEmailChange({ userId: id, newEmail: email.toUpperCase() }), ['new_email']);
    for (const newEmail of ['', 'no', 'a@b@c', `${'x'.repeat(250)}@example.com`]) {
      await expectInvalid(service.auth.requestEmailChange({ userId: id, newEmail }), ['new_email']);
    }
    await expectInvalid(service.auth.requestEmailChange({ userId: 'x', newEmail: 'no' }), ['new_email', 'user_id']);
    expect(await pending(id)).toEqual([]);
  });

  it('knows nobody of an unknown id, and sends nothing for who is deactivated', async () => {
    const unknown = service.auth.requestEmailChange({ userId: '00000000-0000-4000-8000-000000000000', newEmail: newEmail() });
    await expectStatus(unknown, 'NOT_FOUND', 'USER_NOT_FOUND');
    const { id } = await register(service);
    const address = newEmail();
    await service.users.deactivateUser({ userId: id });
    await service.auth.requestEmailChange({ userId: id, newEmail: address });
    expect(await subjectsTo(service, mailbox, address)).toEqual([]);
  });

  it('stores hashes of its secrets alone', async () => {
    const { id } = await register(service);
    const token = await requestEmailChange(service, mailbox, id, newEmail());
    await untilMailsAreSent(service);
    const stored = await dump(service);
    for (const trace of [token, Buffer.from(token).toString('hex'), Buffer.from(token, 'base64url').toString('hex')]) {
      expect(stored).not.toContain(trace);
    }
  });

  it('leaves UpdateUser as it was: it refuses the email', async () => {
    const { id } = await register(service);
    const update = service.users.updateUser({ user: { id, email: newEmail() }, updateMask: ['email'] });
    await expectInvalid(update, ['update_mask'], 'EMAIL_IMMUTABLE');
  });
});
