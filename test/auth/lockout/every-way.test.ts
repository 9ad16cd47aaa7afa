import { beforeEach, describe, expect, it } from 'vitest';
import { auditEvents } from '../../support/audit.ts';
import { PASSWORD, signedIn } from '../../support/builders.ts';
import { failureOf } from '../../support/expect-status.ts';
import { WRONG } from '../../support/logins.ts';
import { useMailbox } from '../../support/mailbox.ts';
import { verificationToken } from '../../support/mails.ts';
import { useService } from '../../support/service.ts';

const NEW = 'an entirely different secret';

const mailbox = useMailbox();
const service = useService(() => ({ SMTP_URL: mailbox.url() }));

interface Account {
  readonly id: string;
  readonly email: string;
  readonly token: string;
  readonly link: string;
}

/** The RPCs that compare a password. */
const WAYS: Readonly<Record<string, (account: Account, password: string) => Promise<unknown>>> = {
  Login: ({ email }, password) => service.auth.login({ email, password }),
  ChangePassword: ({ id }, currentPassword) => service.auth.changePassword({ userId: id, currentPassword, newPassword: NEW }),
  Reauthenticate: ({ token }, password) => service.auth.reauthenticate({ password }, { token }),
  VerifyEmail: ({ link }, password) => service.auth.verifyEmail({ verificationToken: link, password }),
};
const NAMES = Object.keys(WAYS);

let account: Account;
const present = (way: string, password: string) => WAYS[way]?.(account, password) as Promise<unknown>;

beforeEach(async () => {
  const { user, tokens } = await signedIn(service);
  account = { id: user.id, email: user.email, token: tokens.accessToken, link: await verificationToken(mailbox, user.email) };
});

describe('the passwords that are compared for an account', () => {
  it.each(NAMES.map((way, at) => [way, [...NAMES.slice(at), ...NAMES.slice(0, at), way]] as const))(
    'are five, whichever ways they take, %s first; then the right one opens none of them',
    async (_, ways) => {
      for (const way of ways) expect((await failureOf(present(way, WRONG))).reason).toBe('INVALID_CREDENTIALS');
      expect(await auditEvents(service, 'user.locked', account.id)).toHaveLength(1);
      const reasons = await Promise.all(NAMES.map(async (way) => (await failureOf(present(way, PASSWORD))).reason));
      // Login tells the lock where enough was tried under the email itself: otherwise it would tell what belongs to it.
      expect(reasons.slice(1)).toEqual(NAMES.slice(1).map(() => 'TOO_MANY_ATTEMPTS'));
      expect(['INVALID_CREDENTIALS', 'TOO_MANY_ATTEMPTS']).toContain(reasons[0]);
    },
  );

  it.each(NAMES)('count none that is right (%s)', async (way) => {
    for (let failed = 1; failed <= 4; failed++) await failureOf(present('Login', WRONG));
    await present(way, PASSWORD);
    expect(await auditEvents(service, 'user.locked', account.id)).toEqual([]);
  });
});
