import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MAIL_TEMPLATES, MailTemplates } from '../../src/mail/mail-templates.ts';
import { ConfigError } from '../../src/settings/start-error.ts';
import { PASSWORD, register } from '../support/builders.ts';
import { expectInvalid } from '../support/expect-status.ts';
import { useMailbox } from '../support/mailbox.ts';
import { startService, type TestService } from '../support/service.ts';

const OURS = path.resolve(import.meta.dirname, '../../templates/mail');

let root: string;

beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'identity-templates-'));
});

afterAll(() => rm(root, { recursive: true, force: true }));

/** A folder of an operator, with these files. */
async function folderWith(files: Record<string, string>): Promise<string> {
  const folder = await mkdtemp(path.join(root, 'folder-'));
  for (const [name, content] of Object.entries(files)) await writeFile(path.join(folder, name), content);
  return folder;
}

const FACTS = {
  service_name: 'Example',
  email: 'ada@example.com',
  token: 'the-token',
  link: 'https://app.example.com/?a=1&b=2',
  expires: '2026-11-21 12:00 UTC',
  time: '2026-11-21 11:00 UTC',
  device: "Ada's phone",
  address: '203.0.113.9',
};

describe('our templates', () => {
  it.each(MAIL_TEMPLATES)('%s has a subject, text and HTML with every fact that it has a place for', async (name) => {
    const { subject, text, html } = (await MailTemplates.load(undefined)).render(name, FACTS);
    for (const part of [subject, text, html]) {
      expect(part).toContain('Example');
      expect(part).not.toMatch(/\{\{|\}\}|undefined/);
    }
    expect(text).toContain('ada@example.com');
    expect(html).toContain('ada@example.com');
    expect(text).not.toMatch(/^Subject:/m);
    expect(text).not.toMatch(/<|&\w+;/);
  });

  it('new-device says nothing of what is not known', async () => {
    const { text, html } = (await MailTemplates.load(undefined)).render('new-device', { ...FACTS, device: '', address: '' });
    expect(text + html).not.toMatch(/Device:|Address:/);
  });
});

describe("an operator's folder", () => {
  it('replaces the files that it has, also those with line breaks of Windows, and no others', async () => {
    const folder = await folderWith({
      'login-code.txt': 'Subject: Dein Code {{token}}\r\n\r\nHallo {{email}}\r\n',
      'reset-password.html': '<b>{{token}}</b>',
    });
    const [templates, ours] = [await MailTemplates.load(folder), await MailTemplates.load(undefined)];
    const login = templates.render('login-code', FACTS);
    expect(login).toEqual({ ...ours.render('login-code', FACTS), subject: 'Dein Code the-token', text: 'Hallo ada@example.com\n' });
    expect(templates.render('reset-password', FACTS)).toEqual({ ...ours.render('reset-password', FACTS), html: '<b>the-token</b>' });
    for (const name of ['verify-email', 'password-changed', 'new-device', 'account-locked', 'account-erased'] as const) {
      expect(templates.render(name, FACTS)).toEqual(ours.render(name, FACTS));
    }
  });

  it('may be a copy of ours', async () => {
    const folder = await folderWith({});
    await cp(OURS, folder, { recursive: true });
    expect((await MailTemplates.load(folder)).render('verify-email', FACTS).subject).toBe('Confirm your email for Example');
  });

  it.each([
    ['has no subject', { 'new-device.txt': 'Hello\n\nworld' }, /new-device\.txt .*"Subject: …"/],
    ['has an empty subject', { 'new-device.txt': 'Subject: \n\nworld' }, /new-device\.txt .*"Subject: …"/],
    ['has no empty line after the subject', { 'new-device.txt': 'Subject: Hello\nworld' }, /new-device\.txt .*"Subject: …"/],
    ['has a tag that is not closed', { 'login-code.html': '<p>{{token</p>' }, /login-code\.html .*Unclosed tag/],
    ['has a section that is not closed', { 'login-code.txt': 'Subject: x\n\n{{#device}}' }, /login-code\.txt .*Unclosed section "device"/],
    ['has a broken tag in the subject', { 'login-code.txt': 'Subject: {{token\n\ntext' }, /login-code\.txt .*Unclosed tag/],
  ])('with a template that %s is a problem of the settings, and says which', async (_, files, reason) => {
    const error = await MailTemplates.load(await folderWith(files)).catch((error: unknown) => error);
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as ConfigError).problems).toEqual([expect.stringMatching(/^MAIL_TEMPLATES /)]);
    expect((error as ConfigError).message).toMatch(reason);
  });

  it.each([
    ['does not exist', () => path.join(root, 'mistyped')],
    ['is a file', () => path.join(OURS, 'login-code.txt')],
  ])('that %s is a problem of the settings', async (_, folder) => {
    await expect(MailTemplates.load(folder())).rejects.toThrow(`MAIL_TEMPLATES must be a folder, and ${folder()} is none`);
  });
});

describe('what a device is called', () => {
  const mailbox = useMailbox();
  let service: TestService;

  beforeAll(async () => {
    // The subject of an operator may hold anything.
    const folder = await folderWith({ 'new-device.txt': 'Subject: Sign-in on {{device}}\n\nDevice: {{device}}\n' });
    service = await startService({ SMTP_URL: mailbox.url(), MAIL_TEMPLATES: folder });
  });

  afterAll(() => service.stop());

  const logIn = (email: string, deviceName: string) => service.auth.login({ email, password: PASSWORD, client: { deviceName } });

  /** Whose address is verified: nobody else is told what a device is called. */
  async function verified(): Promise<string> {
    const { id, email } = await register(service);
    await service.database.pool.query('update users set email_verified_at = now() where id = $1', [id]);
    return email;
  }

  async function mailAbout(deviceName: string) {
    const email = await verified();
    await logIn(email, 'the first one');
    await logIn(email, deviceName);
    return mailbox.mail(email, /^Sign-in/);
  }

  it('is escaped in HTML, and stands as it is in the text', async () => {
    const name = `<b>Ada</b> & "Co" {{token}}`;
    const { text, html, subject } = await mailAbout(name);
    expect(text).toContain(`Device: ${name}\n`);
    expect(subject).toBe(`Sign-in on ${name}`);
    expect(html).toContain('&lt;b&gt;Ada&lt;&#x2F;b&gt; &amp; &quot;Co&quot; {{token}}');
    expect(html).not.toContain('<b>');
  });

  it('is told only to whoever has proved that the address is theirs: others could write letters to strangers with it', async () => {
    const { email } = await register(service);
    await logIn(email, 'the first one');
    await logIn(email, 'Visit my shop');
    const { text, html, subject } = await mailbox.mail(email, /^Sign-in/);
    expect(`${text} ${html} ${subject}`).not.toContain('shop');
  });

  it('cannot have line breaks', async () => {
    const { email } = await register(service);
    for (const end of ['\n', '\r\n', '\r', '\u2028', '\u0085', '\u0000']) {
      await expectInvalid(logIn(email, `phone${end}Bcc: eve@example.com`), ['client.device_name']);
    }
  });

  it('adds no header, even where it got past that', async () => {
    const email = await verified();
    await logIn(email, 'the first one');
    // Nobody sends mails meanwhile: the cursor is ours.
    const holder = await service.database.pool.connect();
    await holder.query('begin');
    await holder.query('select from event_cursors for update');
    try {
      await logIn(email, 'the second one');
      await service.database.pool.query(
        `update sessions set device_name = E'phone\\r\\nBcc: eve@example.com\\r\\n\\r\\nHello' where device_name = 'the second one'`,
      );
    } finally {
      await holder.query('commit');
      holder.release();
    }
    const mail = await mailbox.mail(email, /^Sign-in/);
    expect(mail.subject).toMatch(/^Sign-in on phone Bcc: eve@example.com +Hello$/);
    expect([...mail.headers.keys()]).not.toContain('bcc');
    expect(mail.text).toContain('Device: phone');
    expect(mailbox.to('eve@example.com')).toEqual([]);
  });
});
