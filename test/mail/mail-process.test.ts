import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { simpleParser } from 'mailparser';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createServiceAccountKey } from '../../src/access/first-key.ts';
import { openServiceOrm } from '../../src/app/orm.ts';
import { newEmail, newUsername, PASSWORD, required } from '../support/builders.ts';
import { type Clients, connect } from '../support/client.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { failureOf } from '../support/expect-status.ts';
import { Mailbox, tokenIn, untilNoMailIsPending } from '../support/mailbox.ts';
import { freePort } from '../support/ports.ts';
import { Process } from '../support/process.ts';
import { SECRET_KEY } from '../support/service.ts';

let folder: string;
let database: TestDatabase;
let adminKey: string;
const started: Process[] = [];
const clients: Clients[] = [];

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'identity-mail-'));
});

beforeEach(async () => {
  database = await createDatabase();
  const orm = await openServiceOrm({ url: database.url });
  adminKey = await createServiceAccountKey(orm.em, 'test-admin', ['admin']);
  await orm.close();
});

afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  for (const { child, ended } of started.splice(0)) if (!ended) child.kill('SIGKILL');
  await database.drop();
});

afterAll(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));

function start(env: Record<string, string> = {}): Process {
  const settings = { BCRYPT_COST: '4', GRPC_PORT: '0', DATABASE_URL: database.url, JWT_SECRET_KEY: SECRET_KEY, DATA_DIR: folder };
  const service = new Process({ ...settings, ...env }, folder);
  started.push(service);
  return service;
}

async function clientOf(service: Process): Promise<Clients> {
  const client = connect(await service.address(), adminKey);
  clients.push(client);
  return client;
}

const count = async (table: string) => (await database.pool.query(`select from ${table}`)).rowCount;

describe('without a mail server', () => {
  it('a mail becomes a file that mail programs open, for its owner alone, and the log names it', async () => {
    const service = start();
    const { auth } = await clientOf(service);
    const email = newEmail();
    await auth.register({ email, password: PASSWORD });
    await service.says('mail written to a file');

    const [line] = service.logged('mail written to a file');
    const file = String(line?.file);
    expect(path.dirname(file)).toBe(path.join(folder, 'mail'));
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect((await stat(path.dirname(file))).mode & 0o777).toBe(0o700);
    expect(await readdir(path.dirname(file))).toEqual([path.basename(file)]);
    expect(path.basename(file)).toMatch(/^\d{4}-\d\d-\d\dT[\d.-]+Z-verify-email-[0-9a-f-]{36}\.eml$/);

    const mail = await simpleParser(await readFile(file));
    expect([mail.to].flat()[0]?.text).toBe(email);
    expect(mail.subject).toBe('Confirm your email for identity');
    await auth.verifyEmail({ verificationToken: tokenIn(mail) });
    // Neither the address nor what the mail says is in the log.
    expect(service.stdout).not.toContain(email);
    expect(service.stdout).not.toContain(tokenIn(mail));
    expect(await service.end('SIGTERM')).toBe(0);
    expect(service.stderr).toBe('');
  });
});

describe('a start with a template that is none', () => {
  it('ends with a sentence that names the file', async () => {
    const templates = await mkdtemp(path.join(folder, 'templates-'));
    await writeFile(path.join(templates, 'login-code.txt'), 'Hello');
    const service = start({ MAIL_TEMPLATES: templates });
    expect(await service.exit).toBe(1);
    expect(service.stdout).toBe('');
    expect(service.stderr).toContain('MAIL_TEMPLATES has a login-code.txt that does not begin with "Subject: …" and an empty line');
    expect(service.stderr).not.toMatch(/^\s+at /m);
  });
});

describe('kill -9', () => {
  /** Registers some, and has others refused or rolled back; returns whom to expect mails for. */
  async function registerMany({ auth, users }: Clients): Promise<{ committed: string[]; refused: string[] }> {
    const committed = Array.from({ length: 20 }, newEmail);
    const refused = Array.from({ length: 10 }, newEmail);
    const username = newUsername();
    await auth.register({ email: required(committed[0]), password: PASSWORD, username });
    await Promise.all(committed.slice(1).map((email) => auth.register({ email, password: PASSWORD })));
    // Invalid; refused by an index at the very end of the transaction; not for mails.
    const calls = refused.map((email, n) =>
      failureOf(n < 3 ? auth.register({ email, password: 'short' }) : auth.register({ email, password: PASSWORD, username })),
    );
    for (const { code } of await Promise.all(calls)) expect(['INVALID_ARGUMENT', 'ALREADY_EXISTS']).toContain(code);
    const silent = newEmail();
    await users.createUser({ email: silent, password: PASSWORD });
    return { committed, refused: [...refused, silent] };
  }

  const untilQueueIsEmpty = () => untilNoMailIsPending(database.pool);

  /** Who was holding mails is gone, and nobody waits for its lease to end. */
  const endLeases = () => database.pool.query('update mails set next_attempt_at = now()');

  const recipients = ({ mails }: Mailbox) => mails.map((mail) => [mail.to].flat()[0]?.text ?? '');

  it('before anything was queued loses no mail, doubles none and makes none up', async () => {
    const port = await freePort();
    const first = start({ SMTP_URL: `smtp://127.0.0.1:${port}` });
    const client = await clientOf(first);
    // Nobody gets to the events: what is committed at the moment of the kill is the changes and their events alone.
    const holder = await database.pool.connect();
    await holder.query('begin');
    await holder.query('select from event_cursors for update');
    const { committed } = await registerMany(client);
    expect(await count('mails')).toBe(0);
    expect(await first.end('SIGKILL')).toBe('SIGKILL');
    await holder.query('rollback');
    holder.release();

    const mailbox = new Mailbox();
    await mailbox.listen(port);
    const second = start({ SMTP_URL: `smtp://127.0.0.1:${port}` });
    await second.address();
    await untilQueueIsEmpty();
    expect(recipients(mailbox).sort()).toEqual([...committed].sort());
    expect(await second.end('SIGTERM')).toBe(0);
    await mailbox.close();
  });

  it('after mails were queued and could not be sent loses none, doubles none and makes none up', async () => {
    const port = await freePort();
    const first = start({ SMTP_URL: `smtp://127.0.0.1:${port}` });
    const { committed } = await registerMany(await clientOf(first));
    const tried = async () => (await database.pool.query('select from mails where attempts > 0')).rowCount;
    await expect.poll(tried).toBe(committed.length);
    expect(await first.end('SIGKILL')).toBe('SIGKILL');

    const mailbox = new Mailbox();
    await mailbox.listen(port);
    await endLeases();
    const second = start({ SMTP_URL: `smtp://127.0.0.1:${port}` });
    await second.address();
    await untilQueueIsEmpty();
    expect(recipients(mailbox).sort()).toEqual([...committed].sort());
    expect(await second.end('SIGTERM')).toBe(0);
    await mailbox.close();
  });

  it('while mails are being handed over sends each at least once, with the same id, and to nobody else', async () => {
    // Takes a mail and does not say so: the sender is killed at the worst moment.
    const { promise: handedOver, resolve } = Promise.withResolvers<void>();
    const silent = new Mailbox({
      onData: (stream, _session, _done) => {
        simpleParser(stream).then((mail) => {
          silent.mails.push(mail);
          resolve();
        }, resolve);
      },
      // Its clients are killed; it need not wait for them.
      closeTimeout: 1,
    });
    const first = start({ SMTP_URL: `smtp://127.0.0.1:${await silent.listen()}` });
    const { committed, refused } = await registerMany(await clientOf(first));
    await handedOver;
    expect(await first.end('SIGKILL')).toBe('SIGKILL');

    const mailbox = new Mailbox();
    await endLeases();
    const second = start({ SMTP_URL: `smtp://127.0.0.1:${await mailbox.listen()}` });
    await second.address();
    await untilQueueIsEmpty();
    // None was known to be delivered, so each is sent, those that came before once more.
    expect(recipients(mailbox).sort()).toEqual([...committed].sort());
    const ids = new Set(mailbox.mails.map(({ messageId }) => messageId));
    expect(silent.mails.length).toBeGreaterThan(0);
    expect(silent.mails.filter(({ messageId }) => !ids.has(messageId))).toEqual([]);
    expect(recipients(silent).filter((to) => refused.includes(to))).toEqual([]);
    expect(await second.end('SIGTERM')).toBe(0);
    await Promise.all([mailbox.close(), silent.close()]);
  });

  it('at any time, again and again, sends every committed mail, and none that was rolled back', async () => {
    const mailbox = new Mailbox();
    const env = { SMTP_URL: `smtp://127.0.0.1:${await mailbox.listen()}` };
    const committed: string[] = [];
    for (let round = 0; round < 3; round++) {
      const service = start(env);
      const { auth } = await clientOf(service);
      const before = mailbox.mails.length;
      const calls = Array.from({ length: 60 }, async () => {
        const email = newEmail();
        await auth.register({ email, password: PASSWORD }).then(
          () => committed.push(email),
          () => undefined,
        );
      });
      // Some mails are sent, some are queued, some calls are under way.
      await expect.poll(() => mailbox.mails.length).toBeGreaterThan(before + 3);
      await service.end('SIGKILL');
      await Promise.all(calls);
    }
    await endLeases();
    const last = start(env);
    await last.address();
    await untilQueueIsEmpty();
    // What the client did not hear of may have been committed, too.
    const { rows } = await database.pool.query<{ email: string }>('select email from users');
    const accounts = rows.map(({ email }) => email);
    expect(accounts).toEqual(expect.arrayContaining(committed));
    expect([...new Set(recipients(mailbox))].sort()).toEqual(accounts.sort());
    expect(await last.end('SIGTERM')).toBe(0);
    await mailbox.close();
  });
});
