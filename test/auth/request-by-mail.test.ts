import { describe, expect, it } from 'vitest';
import { auditEvents, DEVICE } from '../support/audit.ts';
import { newEmail } from '../support/builders.ts';
import { expectInvalid } from '../support/expect-status.ts';
import { programWith } from '../support/grants.ts';
import { useMailbox } from '../support/mailbox.ts';
import { countMails, dump, SUBJECTS, subjectsTo, untilMailsAreSent } from '../support/mails.ts';
import { rows, whileInsertsFail } from '../support/rows.ts';
import { useService } from '../support/service.ts';

const mailbox = useMailbox();
const service = useService(() => ({ SMTP_URL: mailbox.url() }));

const RPCS = [
  ['RequestEmailVerification', 'requestEmailVerification', 'user.email_verification_requested', SUBJECTS.verification],
  ['RequestPasswordReset', 'requestPasswordReset', 'user.password_reset_requested', SUBJECTS.reset],
  ['RequestLoginCode', 'requestLoginCode', 'user.login_code_requested', SUBJECTS.code],
] as const;

/** A user whom nobody has mailed yet: CreateUser asks for no verification. */
async function userWithoutMail() {
  const { user } = await service.users.createUser({ email: newEmail() });
  if (!user) throw new Error('no user');
  return user;
}

describe.each(RPCS)('%s', (_, method, type, subject) => {
  it('gives the same answer whoever has the email, and mails those alone who have an active account', async () => {
    const [known, deactivated] = [await userWithoutMail(), await userWithoutMail()];
    await service.users.deactivateUser({ userId: deactivated.id });
    const unknown = newEmail();

    const answers = [];
    for (const email of [known.email, deactivated.email, unknown]) answers.push(await service.auth[method]({ email, client: DEVICE }));
    expect(answers).toEqual([{}, {}, {}]);

    expect(await subjectsTo(service, mailbox, known.email)).toEqual([expect.stringMatching(subject)]);
    expect(mailbox.to(deactivated.email)).toEqual([]);
    expect(mailbox.to(unknown)).toEqual([]);
  });

  it('finds the account in any case', async () => {
    const { email } = await userWithoutMail();
    await service.auth[method]({ email: ` ${email.toUpperCase()} ` });
    await mailbox.mail(email, subject);
  });

  it('writes down the request with its device: for the user, or for nobody', async () => {
    const { id, email } = await userWithoutMail();
    await service.auth[method]({ email, client: DEVICE });
    expect(await auditEvents(service, type, id)).toEqual([{ type, userId: id, actor: 'service_account:test-admin', ...DEVICE }]);

    const userAgent = `Agent/${crypto.randomUUID()}`;
    await service.auth[method]({ email: newEmail(), client: { userAgent } });
    const events = await rows(service, 'select type, user_id, metadata from audit_events where user_agent = $1', [userAgent]);
    expect(events).toEqual([{ type, user_id: null, metadata: {} }]);
  });

  it('keeps no email that nobody has', async () => {
    const email = newEmail();
    await service.auth[method]({ email });
    await untilMailsAreSent(service);
    expect(await dump(service)).not.toContain(email);
  });

  it('believes an address only from a caller that may vouch for it', async () => {
    const permission = method === 'requestLoginCode' ? 'identity.auth.login' : 'identity.auth.recover';
    const { key } = await programWith(service, [permission]);
    const { id, email } = await userWithoutMail();
    await service.auth[method]({ email, client: DEVICE }, { token: key });
    expect(await auditEvents(service, type, id)).toMatchObject([{ ...DEVICE, ipAddress: null }]);
  });

  it('mails nothing where the request could not be written down', async () => {
    const { email } = await userWithoutMail();
    await whileInsertsFail(service, 'audit_events', () => expect(service.auth[method]({ email })).rejects.toThrow());
    await whileInsertsFail(service, 'events', () => expect(service.auth[method]({ email })).rejects.toThrow());
    expect(await subjectsTo(service, mailbox, email)).toEqual([]);
  });

  it('names every violated field', async () => {
    await expectInvalid(service.auth[method]({}), ['email']);
    await expectInvalid(service.auth[method]({ email: 'nobody', client: { ipAddress: 'x' } }), ['email', 'client.ip_address']);
  });

  it('mails for each request', async () => {
    const { email } = await userWithoutMail();
    await service.auth[method]({ email });
    await mailbox.mail(email, subject);
    await service.auth[method]({ email });
    expect(await countMails(service, mailbox, email, subject)).toBe(2);
  });
});
