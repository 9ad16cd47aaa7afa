import { codeIn, type Mailbox, tokenIn, untilNoMailIsPending } from './mailbox.ts';
import { everythingStored } from './passwords.ts';
import { rows } from './rows.ts';
import type { TestService } from './service.ts';

export const SUBJECTS = {
  verification: /^Confirm your email/,
  reset: /^Reset your password/,
  confirmChange: /^Confirm your new email/,
  revertChange: /^The email of your .* was changed$/,
  emailChanged: /has a new email$/,
  emailRestored: /has its email back$/,
  emailRemoved: /was changed back$/,
  code: /is your sign-in code/,
  passwordChanged: /^Your password .* was changed/,
  newDevice: /^New sign-in/,
  locked: /is locked/,
  erased: /was erased/,
} as const;

/** Until every change so far has become a mail or none, and every mail is sent: who has got none by then does not get one. */
export const untilMailsAreSent = ({ database }: TestService): Promise<void> => untilNoMailIsPending(database.pool);

/** The subjects of the mails that an address has got, once all are sent. */
export async function subjectsTo(service: TestService, mailbox: Mailbox, address: string): Promise<string[]> {
  await untilMailsAreSent(service);
  return mailbox.to(address).map(({ subject = '' }) => subject);
}

/** How many mails of a kind an address has got, once all are sent. */
export async function countMails(service: TestService, mailbox: Mailbox, address: string, subject: RegExp): Promise<number> {
  return (await subjectsTo(service, mailbox, address)).filter((each) => subject.test(each)).length;
}

/** The newest token of somebody who has just registered, or asked for it: of the mail number `count`. */
export async function verificationToken(mailbox: Mailbox, email: string, count = 1): Promise<string> {
  return tokenIn(await mailbox.mail(email, SUBJECTS.verification, count));
}

/** Lets the minute pass in which a kind of mail goes to an address once. Not while a mail is under way: another replica would take it over. */
async function untilNextMail(service: TestService): Promise<void> {
  await untilMailsAreSent(service);
  service.clock.advance(60);
}

export async function requestReset(service: TestService, mailbox: Mailbox, email: string, count = 1): Promise<string> {
  if (count > 1) await untilNextMail(service);
  await service.auth.requestPasswordReset({ email });
  return tokenIn(await mailbox.mail(email, SUBJECTS.reset, count));
}

export async function requestCode(service: TestService, mailbox: Mailbox, email: string, count = 1): Promise<string> {
  if (count > 1) await untilNextMail(service);
  await service.auth.requestLoginCode({ email });
  return codeIn(await mailbox.mail(email, SUBJECTS.code, count));
}

/** The token of the mail to the new address. */
export async function requestEmailChange(
  { auth }: TestService,
  mailbox: Mailbox,
  userId: string,
  newEmail: string,
  count = 1,
): Promise<string> {
  await auth.requestEmailChange({ userId, newEmail });
  return tokenIn(await mailbox.mail(newEmail, SUBJECTS.confirmChange, count));
}

/** Changes the email of a user; returns the token of the mail to the old address. */
export async function changeEmail(service: TestService, mailbox: Mailbox, user: { id: string; email: string }, newEmail: string) {
  const emailChangeToken = await requestEmailChange(service, mailbox, user.id, newEmail);
  await service.auth.confirmEmailChange({ emailChangeToken });
  return tokenIn(await mailbox.mail(user.email, SUBJECTS.revertChange));
}

/** The hash that is stored of what a user was mailed last. */
export async function storedSecret(service: TestService, userId: string, purpose: string): Promise<{ id: string; hash: Buffer }> {
  const [row] = await rows<{ id: string; hash: Buffer }>(
    service,
    'select id, secret_hash as hash from one_time_tokens where user_id = $1 and purpose = $2',
    [userId, purpose],
  );
  if (!row) throw new Error(`no ${purpose} of ${userId}`);
  return row;
}

/** Every row of every table, with binary columns both as hexadecimal digits and as the text that they may hold. */
export async function dump(service: TestService): Promise<string> {
  const text = await everythingStored(service);
  const blobs = [...text.matchAll(/\\\\?x([0-9a-f]{2,})/g)].map(([, hex = '']) => Buffer.from(hex, 'hex').toString('latin1'));
  return [text, ...blobs].join('\n');
}
