import { hash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { logIn, register, signedIn } from '../support/builders.ts';
import { expectStatus } from '../support/expect-status.ts';
import { tokenIn, useMailbox } from '../support/mailbox.ts';
import { dump, requestReset, SUBJECTS } from '../support/mails.ts';
import { storedHash } from '../support/passwords.ts';
import { useService } from '../support/service.ts';

const mailbox = useMailbox();
const service = useService(() => ({ SMTP_URL: mailbox.url() }));

const tokenFor = (email: string, count = 1) => requestReset(service, mailbox, email, count);

describe('RequestPasswordReset', () => {
  it('mails a token of 256 bits, the same for 15 minutes, then another one; all are good until one is used', async () => {
    const { email } = await register(service);
    const first = await tokenFor(email);
    expect(Buffer.from(first, 'base64url')).toHaveLength(32);
    expect(await tokenFor(email, 2)).toBe(first);
    service.clock.advance(13 * 60);
    expect(await tokenFor(email, 3)).not.toBe(first);
    await service.auth.resetPassword({ resetToken: first, newPassword: 'an entirely different secret' });
    const newest = tokenIn(await mailbox.mail(email, SUBJECTS.reset, 3));
    const second = service.auth.resetPassword({ resetToken: newest, newPassword: 'yet another secret' });
    await expectStatus(second, 'UNAUTHENTICATED', 'INVALID_RESET_TOKEN');
  });

  it('is the right one of the tokens of each user', async () => {
    const users = [await register(service), await register(service)];
    const tokens = [];
    for (const { email } of users) tokens.push(await tokenFor(email));
    expect(new Set(tokens).size).toBe(2);
  });

  it('changes nothing yet', async () => {
    const { user, tokens } = await signedIn(service);
    const hash = await storedHash(service, user.id);
    await tokenFor(user.email);
    expect(await storedHash(service, user.id)).toBe(hash);
    expect((await service.auth.introspectToken({ accessToken: tokens.accessToken })).active).toBe(true);
    await logIn(service, user.email);
  });

  it('stores only a hash, and not one that the database alone can check', async () => {
    const { id, email } = await register(service);
    const token = await tokenFor(email);
    const stored = await dump(service);
    expect(stored).toContain(id);
    for (const trace of [token, Buffer.from(token).toString('hex'), Buffer.from(token, 'base64url').toString('hex')]) {
      expect(stored).not.toContain(trace);
    }
    for (const guess of [token, Buffer.from(token, 'base64url')]) expect(stored).not.toContain(hash('sha256', guess, 'hex'));
  });
});
