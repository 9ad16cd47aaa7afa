import { describe, expect, it } from 'vitest';
import { auditEvents, DEVICE } from '../support/audit.ts';
import { atOnce, newEmail, required } from '../support/builders.ts';
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

  it('mails once a minute, and 10 times a day, to one address, whoever asks and in whatever case', async () => {
    const { email } = await userWithoutMail();
    for (const each of [email, email.toUpperCase(), ` ${email}`]) await service.auth[method]({ email: each });
    expect(await countMails(service, mailbox, email, subject)).toBe(1);
    for (let minute = 1; minute <= 12; minute++) {
      service.clock.advance(60);
      for (let turn = 0; turn < 3; turn++) await service.auth[method]({ email });
      expect(await countMails(service, mailbox, email, subject)).toBe(Math.min(10, minute + 1));
    }
    service.clock.advance(24 * 3600);
    await service.auth[method]({ email });
    expect(await countMails(service, mailbox, email, subject)).toBe(11);
  });

  it('uses no mail up that it does not send: asked for before there is an account, or while it is deactivated', async () => {
    const email = newEmail();
    for (let minute = 0; minute < 11; minute++) {
      await service.auth[method]({ email });
      service.clock.advance(60);
    }
    const { user } = await service.users.createUser({ email });
    const { id } = required(user);
    await service.users.deactivateUser({ userId: id });
    await service.auth[method]({ email });
    await untilMailsAreSent(service);
    await service.users.reactivateUser({ userId: id });
    await service.auth[method]({ email });
    expect(await countMails(service, mailbox, email, subject)).toBe(1);
  });

  it('counts each kind by itself', async () => {
    const { email } = await userWithoutMail();
    for (const [, each] of RPCS) await service.auth[each]({ email });
    expect(await subjectsTo(service, mailbox, email)).toHaveLength(3);
  });
});

describe('one sender', () => {
  /** A backend that may have mails sent, and what else it is permitted. */
  const backend = (...more: string[]) =>
    programWith(service, ['identity.auth.recover', 'identity.auth.login', 'identity.auth.register', ...more]);

  /** New accounts, one after the other, each of which a reset is asked for: how many got it. */
  async function mailed(count: number, ask: (email: string) => Promise<unknown>): Promise<number> {
    const users = await Promise.all(Array.from({ length: count }, userWithoutMail));
    for (const { email } of users) expect(await ask(email)).toEqual({});
    await untilMailsAreSent(service);
    return users.filter(({ email }) => mailbox.to(email).length > 0).length;
  }

  it('has mails sent to 20 addresses an hour; the answer stays the same, and the audit trail tells', async () => {
    const { key } = await backend();
    const { email } = await userWithoutMail();
    const ask = (to: string) => service.auth.requestPasswordReset({ email: to }, { token: key });
    await ask(email);
    expect(await mailed(24, ask)).toBe(19);
    const withheld = await rows(service, `select 1 from audit_events where metadata->>'withheld' = 'sender'`);
    expect(withheld).toHaveLength(5);
    // An address that was among the 20 is no other one.
    service.clock.advance(60);
    await ask(email);
    expect(await countMails(service, mailbox, email, SUBJECTS.reset)).toBe(2);
    service.clock.advance(3600);
    expect(await mailed(3, ask)).toBe(3);
  });

  it('counts addresses that nobody has as well, and those of all kinds of mails together', async () => {
    const { key } = await backend();
    for (let turn = 0; turn < 10; turn++) {
      await service.auth.requestPasswordReset({ email: newEmail() }, { token: key });
      await service.auth.requestEmailVerification({ email: newEmail() }, { token: key });
    }
    expect(await mailed(2, (email) => service.auth.requestLoginCode({ email }, { token: key }))).toBe(0);
  });

  it('is the end user where the caller may vouch for their address, and the caller otherwise', async () => {
    const vouching = await backend('identity.clients.vouch');
    const at = (ipAddress: string, token: string) => (email: string) =>
      service.auth.requestPasswordReset({ email, client: { ipAddress } }, { token });
    expect(await mailed(21, at('198.51.100.1', vouching.key))).toBe(20);
    expect(await mailed(2, at('198.51.100.2', vouching.key))).toBe(2);
    const { key } = await backend();
    expect(await mailed(21, at('198.51.100.3', key))).toBe(20);
    expect(await mailed(1, at('198.51.100.4', key))).toBe(0);
  });

  it('that may send in bulk has no such bound', async () => {
    const { key } = await backend('identity.mail.bulk');
    expect(await mailed(22, (email) => service.auth.requestPasswordReset({ email }, { token: key }))).toBe(22);
  });

  it('uses up no mails of an address to which it has none sent', async () => {
    const { key } = await backend();
    for (let turn = 0; turn < 20; turn++) await service.auth.requestPasswordReset({ email: newEmail() }, { token: key });
    const { email } = await userWithoutMail();
    for (let minute = 0; minute < 11; minute++) {
      await service.auth.requestPasswordReset({ email }, { token: key });
      service.clock.advance(60);
    }
    await service.auth.requestPasswordReset({ email });
    expect(await countMails(service, mailbox, email, SUBJECTS.reset)).toBe(1);
  });

  it('registers more people than it has mails sent to', async () => {
    const { key } = await backend();
    for (let turn = 0; turn < 20; turn++) await service.auth.requestPasswordReset({ email: newEmail() }, { token: key });
    const { user } = await service.auth.register({ email: newEmail() }, { token: key });
    expect(await subjectsTo(service, mailbox, required(user).email)).toEqual([]);
    await service.auth.requestEmailVerification({ email: required(user).email });
    expect(await subjectsTo(service, mailbox, required(user).email)).toHaveLength(1);
  });

  it('cannot get past the bound with 60 calls at once', async () => {
    const { key } = await backend();
    const users = await Promise.all(Array.from({ length: 60 }, userWithoutMail));
    await atOnce(60, (index) => service.auth.requestPasswordReset({ email: users[index]?.email ?? '' }, { token: key }));
    await untilMailsAreSent(service);
    expect(users.filter(({ email }) => mailbox.to(email).length > 0)).toHaveLength(20);
  });
});
