import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DEVICE } from '../support/audit.ts';
import { logIn, newUsername, PASSWORD, register } from '../support/builders.ts';
import { expectStatus } from '../support/expect-status.ts';
import { holdUser } from '../support/locks.ts';
import { Mailbox, untilNoMailIsPending } from '../support/mailbox.ts';
import { rows } from '../support/rows.ts';
import { startService, type TestService } from '../support/service.ts';

let service: TestService;
let mailbox: Mailbox;
/** Whether the mail server takes mails just now. */
let closed: boolean;

beforeEach(async () => {
  closed = false;
  mailbox = new Mailbox({
    onMailFrom: (_address, _session, done) => done(closed ? Object.assign(new Error('later'), { responseCode: 451 }) : null),
  });
  service = await startService({ SMTP_URL: `smtp://127.0.0.1:${await mailbox.listen()}` });
});

afterEach(async () => {
  await service.stop();
  await mailbox.close();
});

/** Every value of every row of every table of the service, as text; bytes are also read as if they were text. */
async function everything(): Promise<{ table: string; row: string }[]> {
  const tables = await rows<{ table: string }>(service, `select tablename as table from pg_tables where schemaname = 'public' order by 1`);
  expect(tables.length).toBeGreaterThan(15);
  const found = [];
  for (const { table } of tables) {
    for (const { row } of await rows<{ row: string }>(service, `select t::text as row from ${table} t`)) {
      const bytes = [...row.matchAll(/\\\\x((?:[0-9a-f]{2})+)/g)].map(([, hex = '']) => Buffer.from(hex, 'hex').toString('latin1'));
      found.push({ table, row: [row, ...bytes].join('\n') });
    }
  }
  return found;
}

/** The forms in which a database could hold a value without a key of ours. */
function formsOf(value: string): string[] {
  const bytes = Buffer.from(value);
  const hashes = ['md5', 'sha1', 'sha256', 'sha384', 'sha512'].map((name) => createHash(name).update(value).digest());
  return [value, ...[bytes, ...hashes].flatMap((form) => [form.toString('hex'), form.toString('base64url').slice(0, -1)])];
}

/** Which tables hold one of these values, in any letter case. */
async function tablesWith(values: readonly string[]): Promise<string[]> {
  const forms = values
    .flatMap((value) => [value, value.toLowerCase()])
    .flatMap(formsOf)
    .map((form) => form.toLowerCase());
  const hits = (await everything()).filter(({ row }) => forms.some((form) => row.toLowerCase().includes(form)));
  return [...new Set(hits.map(({ table }) => table))];
}

describe('the mails of an account', () => {
  const names = { firstName: 'Augusta', lastName: 'Lovelace', fullName: 'Augusta Ada Lovelace' };

  it('wait without the address; of an account that is erased none is sent but the last one, and then nothing holds the address', async () => {
    const username = newUsername();
    const email = `Ada.${username}@Example.com`;
    closed = true;
    const { id } = await register(service, { email, username, profile: names, client: DEVICE });
    await logIn(service, email);
    await service.auth.login({ email, password: PASSWORD, client: DEVICE });
    await service.auth.login({ email, password: PASSWORD, client: { deviceName: 'another one' } });
    await service.auth.requestPasswordReset({ email });
    await service.auth.requestLoginCode({ email });
    await expectStatus(service.auth.login({ email, password: 'wrong', client: DEVICE }), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
    const waiting = () => rows<{ template: string }>(service, 'select template from mails where attempts > 0 order by template');
    await expect
      .poll(async () => (await waiting()).map(({ template }) => template))
      .toEqual(['login-code', 'new-device', 'reset-password', 'verify-email']);
    // The search finds what is there; the mails and events that wait are not among it.
    expect(await tablesWith([email])).toEqual(['users']);
    expect(await tablesWith([email, username, ...Object.values(names)])).toEqual(['profiles', 'users']);

    const other = await register(service);
    await service.users.deleteUser({ userId: id });
    await expect.poll(async () => (await waiting()).length).toBe(2);
    expect(await tablesWith([email])).toEqual([]);
    closed = false;
    service.clock.advance(60);
    const last = await mailbox.mail(email.toLowerCase(), /erased/);
    expect(last.text).toContain(email.toLowerCase());
    await mailbox.mail(other.email, /^Confirm/);
    await untilNoMailIsPending(service.database.pool);
    expect(mailbox.mails).toHaveLength(2);
    expect(await tablesWith([email, username, ...Object.values(names), ...Object.values(DEVICE)])).toEqual([]);
    expect((await everything()).filter(({ row }) => row.includes('recipient'))).toEqual([]);
  });

  it('lead to no mail where the account is gone before anybody has looked at its events, but for the last one', async () => {
    const holder = await service.database.pool.connect();
    await holder.query('begin');
    await holder.query('select from event_cursors for update');
    const { id, email } = await register(service);
    await service.auth.requestPasswordReset({ email });
    await service.users.deleteUser({ userId: id });
    await holder.query('commit');
    holder.release();
    await mailbox.mail(email, /erased/);
    await untilNoMailIsPending(service.database.pool);
    expect(mailbox.mails).toHaveLength(1);
  });
});

describe('an account that somebody holds for long', () => {
  it('holds up neither the mails of others nor its own', async () => {
    const [held, other] = [await register(service), await register(service)];
    await untilNoMailIsPending(service.database.pool);
    const lock = await holdUser(service, held.id);
    try {
      await rows(service, `insert into events (type, user_id, occurred_at) values ('user.password_changed', $1, now())`, [held.id]);
      await service.auth.requestPasswordReset({ email: other.email });
      await Promise.all([mailbox.mail(held.email, /changed$/), mailbox.mail(other.email, /^Reset/)]);
    } finally {
      await lock.release();
    }
  });
});
