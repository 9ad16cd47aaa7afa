import type { SMTPServerSession } from 'smtp-server';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { linkTo } from '../../src/mail/mail-link.ts';
import { type MailTransport, smtpTransport } from '../../src/mail/mail-transport.ts';
import { newEmail, register } from '../support/builders.ts';
import { Authority } from '../support/certificates.ts';
import { Mailbox, tokenIn } from '../support/mailbox.ts';
import { rows } from '../support/rows.ts';
import { startService, type TestService } from '../support/service.ts';

/** How the mail server has seen its clients. */
const sessions: SMTPServerSession[] = [];

const authority = new Authority();
const { cert, key } = authority.sign('localhost');

/** Takes mail from who signs in, over TLS with a certificate that nobody knows. */
const strict = new Mailbox({
  cert,
  key,
  authOptional: false,
  disabledCommands: [],
  onAuth: ({ username, password }, _session, done) =>
    username === 'postmaster' && password === 'p@ss/word' ? done(null, { user: username }) : done(new Error('Invalid login')),
  onMailFrom: (_address, session, done) => {
    sessions.push(session);
    done();
  },
});

/** Whom the open mail server was told to give a mail to, whatever its headers say. */
const recipients: string[] = [];
const open = new Mailbox({
  onRcptTo: ({ address }, _session, done) => {
    recipients.push(address);
    done();
  },
});
let strictPort: number;
let openPort: number;

beforeAll(async () => {
  [strictPort, openPort] = [await strict.listen(), await open.listen()];
});

afterAll(async () => {
  await Promise.all([strict.close(), open.close()]);
  authority.dispose();
});

async function withService(env: Record<string, string>, run: (service: TestService) => Promise<void>): Promise<void> {
  const service = await startService(env);
  try {
    await run(service);
  } finally {
    await service.stop();
  }
}

describe('mail over SMTP', () => {
  it('signs in as SMTP_URL says, after STARTTLS', async () => {
    const url = `smtp://postmaster:${encodeURIComponent('p@ss/word')}@127.0.0.1:${strictPort}?tls.rejectUnauthorized=false`;
    await withService({ SMTP_URL: url }, async (service) => {
      const { email } = await register(service);
      await strict.mail(email, /^Confirm/);
      expect(sessions.map(({ secure, user }) => ({ secure, user }))).toEqual([{ secure: true, user: 'postmaster' }]);
    });
  });

  it('speaks TLS from the first byte to smtps://', async () => {
    const secure = new Mailbox({ secure: true, cert, key });
    const url = `smtps://127.0.0.1:${await secure.listen()}?tls.rejectUnauthorized=false`;
    await withService({ SMTP_URL: url }, async (service) => {
      const { email } = await register(service);
      await secure.mail(email, /^Confirm/);
    });
    await secure.close();
  });

  it.each([
    ['whose certificate nobody vouches for', 'strict', ''],
    ['that does not do so over TLS, where SMTP_URL insists', 'open', '?requireTLS=true&tls.rejectUnauthorized=false'],
  ])('is not given to a server %s', async (_, server, options) => {
    const [mailbox, port] = server === 'strict' ? [strict, strictPort] : [open, openPort];
    await withService({ SMTP_URL: `smtp://postmaster:p%40ss%2Fword@127.0.0.1:${port}${options}` }, async (service) => {
      const { email, id } = await register(service);
      const sql = `select attempts from mails where user_id = $1 and next_attempt_at < now() + interval '30 seconds'`;
      await expect.poll(async () => rows(service, sql, [id])).toEqual([{ attempts: 1 }]);
      expect(mailbox.to(email)).toEqual([]);
    });
  });

  it('has text and HTML, an id, the sender, and a header that keeps vacation notices away', async () => {
    const env = {
      SMTP_URL: `smtp://127.0.0.1:${openPort}`,
      MAIL_FROM: 'Example Accounts <accounts@example.org>',
      SERVICE_NAME: 'Example & Söhne',
    };
    await withService(env, async (service) => {
      const { email } = await register(service);
      const mail = await open.mail(email, /^Confirm/);
      expect(mail.from?.value).toEqual([{ name: 'Example Accounts', address: 'accounts@example.org' }]);
      expect(mail.subject).toBe('Confirm your email for Example & Söhne');
      expect(mail.messageId).toMatch(/^<[0-9a-f-]{36}@example\.org>$/);
      expect(mail.headers.get('auto-submitted')).toBe('auto-generated');
      expect(Math.abs(Number(mail.date) - Date.now())).toBeLessThan(60_000);
      const token = tokenIn(mail);
      expect(mail.text).toContain(`signed up to Example & Söhne with ${email}.`);
      expect(mail.text).toContain(`http://localhost:3000/verify-email?token=${token}`);
      expect(mail.html).toContain('Example &amp; Söhne');
      expect(mail.html).toContain(`<code>${token}</code>`);
      const [, href = ''] = /<a href="([^"]+)">/.exec(String(mail.html)) ?? [];
      expect(href.replaceAll('&#x2F;', '/').replaceAll('&#x3D;', '=')).toBe(`http://localhost:3000/verify-email?token=${token}`);
      await service.auth.verifyEmail({ verificationToken: token });
    });
  });

  it('leads where PUBLIC_URL says', async () => {
    const env = { SMTP_URL: `smtp://127.0.0.1:${openPort}`, PUBLIC_URL: 'https://app.example.org/account/' };
    await withService(env, async (service) => {
      const { email } = await register(service);
      await service.auth.requestPasswordReset({ email });
      const mail = await open.mail(email, /^Reset/);
      expect(mail.text).toContain(`\nhttps://app.example.org/account/reset-password?token=${tokenIn(mail)}\n`);
    });
  });
});

describe('a link', () => {
  it.each([
    ['https://a.example/{action}?token={token}', 'https://a.example/verify-email?token=t%26k'],
    ['https://a.example/do/{action}/{token}', 'https://a.example/do/verify-email/t%26k'],
    ['https://a.example/open?what={action}&t={token}#top', 'https://a.example/open?what=verify-email&t=t%26k#top'],
    ['https://a.example/verify?t={token}', 'https://a.example/verify?t=t%26k'],
    ['https://a.example', 'https://a.example/verify-email?token=t%26k'],
    ['https://a.example/', 'https://a.example/verify-email?token=t%26k'],
    ['https://a.example/app/#/', 'https://a.example/app/#/verify-email?token=t%26k'],
    ['https://a.example/{action}', 'https://a.example/verify-email?token=t%26k'],
    ['https://a.example/{action}?lang=en', 'https://a.example/verify-email?lang=en&token=t%26k'],
    ['https://a.example/app?lang=en&x=1', 'https://a.example/app/verify-email?lang=en&x=1&token=t%26k'],
  ])('by the pattern %s is %s', (pattern, link) => {
    expect(linkTo(pattern, 'verify-email', 't&k')).toBe(link);
  });
});

describe('a recipient', () => {
  let transport: MailTransport;

  beforeAll(async () => {
    transport = await smtpTransport(`smtp://127.0.0.1:${openPort}`, 'accounts@example.org');
  });

  afterAll(() => transport.close());

  const send = (to: string) =>
    transport.send({ id: 'id', template: 'verify-email', to, subject: `to ${to}`, text: 'text', html: '<p>html</p>' });

  const arrived = (to: string) =>
    open.mails.filter(({ subject }) => subject === `to ${to}`).map((mail) => [mail.to].flat().flatMap((given) => given?.value ?? []));

  it.each([
    ['ada@example.com', 'ada@example.com'],
    // One mailbox with an odd name, not two of which the second gets the mail.
    ['ada,eve@example.com', '"ada,eve"@example.com'],
    ['ada;eve@example.com', '"ada;eve"@example.com'],
    ['group:eve@example.com', '"group:eve"@example.com'],
    ['ada+tag@example.com', 'ada+tag@example.com'],
  ])('%s gets the mail, and nobody else', async (to, address) => {
    const before = recipients.length;
    await send(to);
    expect(recipients.slice(before)).toEqual([address]);
    expect(arrived(to)).toEqual([[expect.objectContaining({ address })]]);
  });

  it('that no mailbox can have gets none, rather than somebody with a similar address', async () => {
    await expect(send('ada<eve@example.com')).rejects.toMatchObject({ code: 'ENOMAILBOX' });
    await expect(send('ada>eve@example.com')).rejects.toMatchObject({ code: 'ENOMAILBOX' });
    expect(arrived('ada<eve@example.com')).toEqual([]);
  });

  it('beyond ASCII gets the mail from a server that speaks SMTPUTF8', async () => {
    const to = newEmail().replace('@', '-jõgeva@');
    await send(to);
    expect(arrived(to)).toEqual([[expect.objectContaining({ address: to })]]);
  });
});
