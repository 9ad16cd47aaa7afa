import { describe, expect, it } from 'vitest';
import { PASSWORD, signedIn } from '../support/builders.ts';
import { keyOf } from '../support/grants.ts';
import { useMailbox } from '../support/mailbox.ts';
import { requestCode, requestReset, verificationToken } from '../support/mails.ts';
import { rows } from '../support/rows.ts';
import { useService } from '../support/service.ts';

const mailbox = useMailbox();
const service = useService(() => ({ SMTP_URL: mailbox.url() }));

const HOUR = 3600;

async function lastLoginOf(userId: string): Promise<number> {
  const [row] = await rows<{ at: Date }>(service, 'select last_login_at as at from users where id = $1', [userId]);
  return Number(row?.at);
}

interface Person {
  readonly userId: string;
  readonly email: string;
  readonly accessToken: string;
  readonly refreshToken: string;
}

async function person(): Promise<Person> {
  const { user, tokens } = await signedIn(service);
  return { userId: user.id, email: user.email, accessToken: tokens.accessToken, refreshToken: tokens.refreshToken };
}

type Prepare = (person: Person) => Promise<() => Promise<unknown>>;

/** What a user does, or a backend does for them: each after what it takes has been prepared. */
const INTERACTIONS: Readonly<Record<string, Prepare>> = {
  Login:
    async ({ email }) =>
    () =>
      service.auth.login({ email, password: PASSWORD }),
  LoginWithCode: async ({ email }) => {
    const code = await requestCode(service, mailbox, email);
    return () => service.auth.loginWithCode({ email, code });
  },
  RefreshToken:
    async ({ refreshToken }) =>
    () =>
      service.auth.refreshToken({ refreshToken }),
  VerifyEmail: async ({ email }) => {
    const token = await verificationToken(mailbox, email);
    return () => service.auth.verifyEmail({ verificationToken: token });
  },
  'VerifyEmail of an address that is verified': async ({ email }) => {
    const token = await verificationToken(mailbox, email);
    await service.auth.verifyEmail({ verificationToken: token });
    return () => service.auth.verifyEmail({ verificationToken: token });
  },
  ResetPassword: async ({ email }) => {
    const resetToken = await requestReset(service, mailbox, email);
    return () => service.auth.resetPassword({ resetToken, newPassword: 'another good passphrase' });
  },
  ChangePassword: async ({ userId }) => {
    const request = { userId, currentPassword: PASSWORD, newPassword: 'another good passphrase' };
    return () => service.auth.changePassword(request);
  },
  UpdateUser:
    async ({ userId }) =>
    () =>
      service.users.updateUser({ user: { id: userId, profile: { bio: 'Nothing much.' } } }),
  Logout:
    async ({ refreshToken }) =>
    () =>
      service.auth.logout({ refreshToken }),
  'a call with an access token':
    async ({ accessToken }) =>
    () =>
      service.auth.getCaller({}, { token: accessToken }),
  'a call with an API key': async ({ userId }) => {
    const key = await keyOf(service, { userId });
    return () => service.auth.getCaller({}, { token: key });
  },
  IntrospectToken:
    async ({ accessToken }) =>
    () =>
      service.auth.introspectToken({ accessToken }),
};

/** What others do about a user. */
const OF_OTHERS: Readonly<Record<string, Prepare>> = {
  GetUser:
    async ({ userId }) =>
    () =>
      service.users.getUser({ userId }),
  UnlockUser:
    async ({ userId }) =>
    () =>
      service.users.unlockUser({ userId }),
  'a failed Login':
    async ({ email }) =>
    () =>
      service.auth.login({ email, password: 'wrong' }).catch(() => undefined),
  'Logout of a session that has ended': async ({ refreshToken }) => {
    await service.auth.logout({ refreshToken });
    return () => service.auth.logout({ refreshToken });
  },
};

describe('last_login_at', () => {
  it.each(Object.entries(INTERACTIONS))('moves with %s', async (_, prepare) => {
    const someone = await person();
    const interact = await prepare(someone);
    service.clock.advance(60 + 1);
    const now = service.clock.now().getTime();
    await interact();
    // What only reads is noted in batches.
    await expect.poll(() => lastLoginOf(someone.userId), { timeout: 5000 }).toBeGreaterThanOrEqual(now);
  });

  it.each(Object.entries(OF_OTHERS))('stays with %s', async (_, prepare) => {
    const someone = await person();
    const interact = await prepare(someone);
    const before = await lastLoginOf(someone.userId);
    service.clock.advance(60 + 1);
    await interact();
    // Whatever is noted in batches is written by then: so is what another user does.
    const other = await person();
    service.clock.advance(60 + 1);
    const now = service.clock.now().getTime();
    await service.auth.getCaller({}, { token: other.accessToken });
    await expect.poll(() => lastLoginOf(other.userId), { timeout: 5000 }).toBeGreaterThanOrEqual(now);
    expect(await lastLoginOf(someone.userId)).toBe(before);
  });

  it('moves at most once a minute with calls by an API key', async () => {
    const { userId } = await person();
    const key = await keyOf(service, { userId });
    service.clock.advance(HOUR);
    await service.auth.getCaller({}, { token: key });
    const first = service.clock.now().getTime();
    await expect.poll(() => lastLoginOf(userId), { timeout: 5000 }).toBeGreaterThanOrEqual(first - 1000);
    const noted = await lastLoginOf(userId);
    service.clock.advance(30);
    await service.auth.getCaller({}, { token: key });
    service.clock.advance(31);
    await service.auth.getCaller({}, { token: key });
    await expect.poll(() => lastLoginOf(userId), { timeout: 5000 }).toBeGreaterThanOrEqual(noted + 60_000);
  });
});
