import { describe, expect, it } from 'vitest';
import { logIn, newEmail, PASSWORD, register } from '../../support/builders.ts';
import { expectStatus } from '../../support/expect-status.ts';
import { attempt, FAILED, type Identifier, REFUSED } from '../../support/logins.ts';
import { useMailbox } from '../../support/mailbox.ts';
import { requestReset } from '../../support/mails.ts';
import { rows } from '../../support/rows.ts';
import { useService } from '../../support/service.ts';

const mailbox = useMailbox();
const service = useService(() => ({ SMTP_URL: mailbox.url() }));

const DURATION = 1800;

/** Wrong passwords in a row, with a wait for the end of the lock after every fifth. */
async function failInARow(identifier: Identifier, count: number): Promise<void> {
  for (let failed = 1; failed <= count; failed++) {
    expect((await attempt(service, identifier)).reason).toBe(FAILED);
    if (failed % 5 === 0) service.clock.advance(DURATION + 1);
  }
}

const expectRefusedForGood = async (identifier: Identifier) => {
  for (let wait = 0; wait < 3; wait++) {
    expect(await attempt(service, identifier, { password: PASSWORD })).toEqual({ reason: REFUSED, seconds: DURATION });
    service.clock.advance(DURATION + 1);
  }
};

async function exhausted() {
  const user = await register(service);
  const deviceToken = (await logIn(service, user.email)).deviceToken;
  await failInARow(user, 100);
  await expectRefusedForGood(user);
  return { ...user, deviceToken };
}

describe('a hundred failures in a row without a success', () => {
  it('end all guessing, under an email that somebody has and under one that nobody has', async () => {
    for (const identifier of [{ email: newEmail() }, { email: (await register(service)).email }]) {
      await failInARow(identifier, 99);
      service.clock.advance(DURATION + 1);
      await failInARow(identifier, 1);
      await expectRefusedForGood(identifier);
    }
  });

  it('are none where a success comes in between', async () => {
    const { email } = await register(service);
    await failInARow({ email }, 95);
    await logIn(service, email);
    await failInARow({ email }, 95);
    await logIn(service, email);
  });

  it('are forgiven by UnlockUser', async () => {
    const { id, email } = await exhausted();
    await service.users.unlockUser({ userId: id });
    await logIn(service, email);
  });

  it('are forgiven by a password reset', async () => {
    const { email } = await exhausted();
    const newPassword = 'an entirely different secret';
    await service.auth.resetPassword({ resetToken: await requestReset(service, mailbox, email), newPassword });
    await logIn(service, email, newPassword);
  });

  it('do not concern a known device, and are forgiven by a success there', async () => {
    const { email, deviceToken } = await exhausted();
    expect((await attempt(service, { email }, { password: PASSWORD, deviceToken })).reason).toBe('success');
    await logIn(service, email);
  });

  it('make a device token like none', async () => {
    const { id, email } = await register(service);
    const { deviceToken } = await logIn(service, email);
    for (let failed = 1; failed <= 100; failed++) {
      expect((await attempt(service, { email }, { deviceToken })).reason).toBe(FAILED);
      if (failed % 5 === 0) service.clock.advance(DURATION + 1);
    }
    // From now on it counts for the account, as without.
    const counted = async () => (await rows(service, 'select failed_attempts as failed from users where id = $1', [id]))[0]?.failed;
    expect(await counted()).toBe(0);
    expect((await attempt(service, { email }, { deviceToken })).reason).toBe(FAILED);
    expect(await counted()).toBe(1);
    const { tokens } = await service.auth.login({ email, password: PASSWORD, client: { deviceToken } });
    expect(tokens?.deviceToken).not.toBe(deviceToken);
  });

  it('also of changes of the password, end those', async () => {
    const { id } = await register(service);
    const change = () => service.auth.changePassword({ userId: id, currentPassword: 'wrong', newPassword: 'another good passphrase' });
    for (let failed = 1; failed <= 100; failed++) {
      await expectStatus(change(), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
      if (failed % 5 === 0) service.clock.advance(DURATION + 1);
    }
    const { retryAfterSeconds } = await expectStatus(change(), 'RESOURCE_EXHAUSTED', 'TOO_MANY_ATTEMPTS');
    expect(retryAfterSeconds).toBe(DURATION);
  });
});
