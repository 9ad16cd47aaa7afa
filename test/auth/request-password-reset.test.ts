import { hash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { logIn, register, signedIn } from '../support/builders.ts';
import { useMailbox } from '../support/mailbox.ts';
import { dump, requestReset } from '../support/mails.ts';
import { storedHash } from '../support/passwords.ts';
import { useService } from '../support/service.ts';

const mailbox = useMailbox();
const service = useService(() => ({ SMTP_URL: mailbox.url() }));

const tokenFor = (email: string, count = 1) => requestReset(service, mailbox, email, count);

describe('RequestPasswordReset', () => {
  it('mails a token of 256 bits, another one each time', async () => {
    const { email } = await register(service);
    const tokens = [await tokenFor(email), await tokenFor(email, 2), await tokenFor(email, 3)];
    for (const token of tokens) expect(Buffer.from(token, 'base64url')).toHaveLength(32);
    expect(new Set(tokens).size).toBe(3);
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
