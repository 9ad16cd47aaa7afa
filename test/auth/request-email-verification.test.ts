import { describe, expect, it } from 'vitest';
import { newEmail, PASSWORD, register, required } from '../support/builders.ts';
import { expectInvalid, expectStatus } from '../support/expect-status.ts';
import { tokenIn, useMailbox } from '../support/mailbox.ts';
import { countMails, SUBJECTS, subjectsTo, verificationToken } from '../support/mails.ts';
import { rows, whileInsertsFail } from '../support/rows.ts';
import { useService } from '../support/service.ts';

const mailbox = useMailbox();
const service = useService(() => ({ SMTP_URL: mailbox.url(), PUBLIC_URL: 'https://app.example.com/' }));

const requestsSoFar = async () =>
  (await rows(service, `select position from events where type = 'user.email_verification_requested'`)).length;

describe('RequestEmailVerification', () => {
  it('mails a link with a token of 256 bits', async () => {
    const { user } = await service.users.createUser({ email: newEmail() });
    const { email } = required(user);
    await service.auth.requestEmailVerification({ email });
    const mail = await mailbox.mail(email, SUBJECTS.verification);
    const token = tokenIn(mail);
    expect(Buffer.from(token, 'base64url')).toHaveLength(32);
    const link = `https://app.example.com/verify-email?token=${token}`;
    expect(mail.text).toContain(link);
    // Mustache escapes `=` and `/`, too; what counts is what a browser makes of it.
    expect(String(mail.html).replaceAll('&#x3D;', '=').replaceAll('&#x2F;', '/')).toContain(`href="${link}"`);
  });

  it('mails nothing to who is verified already', async () => {
    const { email } = await register(service);
    await service.auth.verifyEmail({ verificationToken: await verificationToken(mailbox, email) });
    await service.auth.requestEmailVerification({ email });
    expect(await subjectsTo(service, mailbox, email)).toHaveLength(1);
  });

  it('mails the same token again for half a day, and then another one, beside which it stays good', async () => {
    const { email } = await register(service);
    const first = await verificationToken(mailbox, email);
    const again = async (seconds: number, count: number) => {
      service.clock.advance(seconds);
      await service.auth.requestEmailVerification({ email });
      return verificationToken(mailbox, email, count);
    };
    expect(await again(11 * 3600, 2)).toBe(first);
    const second = await again(3600, 3);
    expect(second).not.toBe(first);
    expect(await again(60, 4)).toBe(second);
    await service.auth.verifyEmail({ verificationToken: first });
  });
});

describe('Register', () => {
  it('asks for the verification mail, which CreateUser does not', async () => {
    const registered = await register(service);
    const created = required((await service.users.createUser({ email: newEmail(), password: PASSWORD })).user);
    expect(await countMails(service, mailbox, registered.email, SUBJECTS.verification)).toBe(1);
    expect(mailbox.to(created.email)).toEqual([]);
  });

  it('asks for it in the same transaction', async () => {
    const email = newEmail();
    const before = await requestsSoFar();
    await whileInsertsFail(service, 'events', () => expectStatus(service.auth.register({ email }), 'INTERNAL', 'INTERNAL_ERROR'));
    expect(await rows(service, 'select 1 from users where email = $1', [email])).toEqual([]);
    await whileInsertsFail(service, 'profiles', () => expectStatus(service.auth.register({ email }), 'INTERNAL', 'INTERNAL_ERROR'));
    expect(await requestsSoFar()).toBe(before);
    await register(service, { email });
    expect(await requestsSoFar()).toBe(before + 1);
  });

  it('asks for it once, however often the same request comes, and not where it is refused', async () => {
    const request = { email: newEmail(), password: PASSWORD, requestId: crypto.randomUUID() };
    await register(service, request);
    const before = await requestsSoFar();
    await register(service, request);
    await expectStatus(service.auth.register({ email: request.email }), 'ALREADY_EXISTS', 'EMAIL_ALREADY_EXISTS');
    await expectInvalid(service.auth.register({ email: newEmail(), password: 'tr0ub&3' }), ['password']);
    expect(await requestsSoFar()).toBe(before);
    expect(await countMails(service, mailbox, request.email, SUBJECTS.verification)).toBe(1);
  });
});
