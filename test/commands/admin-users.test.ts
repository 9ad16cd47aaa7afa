import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { logIn, newEmail, newUsername, PASSWORD, register } from '../support/builders.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { importUsers, newRow, PASSWORD_HASH } from '../support/import-users.ts';
import { rows } from '../support/rows.ts';
import { startService, type TestService, useService } from '../support/service.ts';

const ADMIN = path.resolve(import.meta.dirname, '../../src/commands/admin.ts');
const MAIN = path.resolve(import.meta.dirname, '../../src/main.ts');
const PEPPER = 'a pepper that moves along';

const service = useService({ PASSWORD_PEPPER: PEPPER });
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'identity-admin-'));
});
afterAll(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));

interface Result {
  readonly code: unknown;
  readonly stdout: string;
  readonly stderr: string;
}

/** `npm run admin`, on the database of the service or on another one. */
async function admin(args: string[], env: Record<string, string> = { DATABASE_URL: service.database.url }): Promise<Result> {
  const child = spawn(process.execPath, [ADMIN, ...args], { cwd: folder, env: { PATH: process.env.PATH, ...env } });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  const [code] = await once(child, 'close');
  return { code, stdout, stderr };
}

async function fileOf(name: string, lines: readonly (object | string)[]): Promise<string> {
  const file = path.join(folder, name);
  await writeFile(file, lines.map((line) => `${typeof line === 'string' ? line : JSON.stringify(line)}\n`).join(''));
  return file;
}

const readLines = async (file: string) =>
  (await readFile(file, 'utf8'))
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

describe('npm run admin -- import', () => {
  it('creates users from NDJSON, however the birthday is written, and says how many', async () => {
    const [email, other] = [newEmail(), newEmail()];
    const profile = { first_name: 'Ada', last_name: 'Lovelace', birth_date: '1915-12-10', phone: '+41446681800' };
    const file = await fileOf('two.ndjson', [
      { email, username: newUsername(), profile, roles: ['reader', 'admin'], email_verified: true, password_hash: PASSWORD_HASH },
      '',
      { email: other, profile: { birth_date: { year: 1915, month: 12, day: 10 }, bio: null }, username: null, deactivated: true },
    ]);
    const { code, stdout, stderr } = await admin(['import', file]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: '2 created, 0 unchanged, 0 valid, 0 refused\n' });
    expect(stderr).toMatch(/^database: .+\n100 % \| \d created/);
    const { user } = await service.users.lookupUser({ email });
    const birthDate = { year: 1915, month: 12, day: 10 };
    expect(user).toMatchObject({ emailVerified: true, roles: ['admin', 'reader'], profile: { fullName: 'Ada Lovelace', birthDate } });
    expect((await service.users.lookupUser({ email: other })).user).toMatchObject({ active: false, profile: { birthDate } });
    await logIn(service, email);
    const recorded = await rows(service, `select actor from audit_events where user_id = $1 and type = 'user.created'`, [user?.id]);
    expect(recorded).toEqual([{ actor: 'service_account:system' }]);
  });

  it('names every refused row by its line and its reason, imports the others, and exits with 1', async () => {
    const email = newEmail();
    const file = await fileOf('bad.ndjson', [
      { email },
      'not JSON',
      { email, request_id: crypto.randomUUID() },
      '[]',
      { email: newEmail(), pasword_hash: PASSWORD_HASH },
      { email: newEmail(), profile: { name: 'Ada' } },
      { email: 5, roles: 'admin', profile: { first_name: {} } },
      { email: newEmail(), roles: ['no-such-role'] },
      { email: newEmail(), password_hash: 'plain text' },
      '{"email": "half@example.com", "profile": {"first_name": "a\\ud800b"}}',
      { email: newEmail() },
    ]);
    const { code, stdout, stderr } = await admin(['import', file]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '3 created, 0 unchanged, 0 valid, 8 refused\n' });
    const refused = stderr.split('\n').filter((line) => line.startsWith('line '));
    expect(refused.map((line) => line.split(':').slice(0, 3).join(':')).sort()).toEqual([
      'line 2: INVALID_FIELDS: line',
      'line 3: EMAIL_ALREADY_EXISTS: the email belongs to another user',
      'line 4: INVALID_FIELDS: line',
      'line 5: INVALID_FIELDS: pasword_hash',
      'line 6: INVALID_FIELDS: profile.name',
      'line 7: INVALID_FIELDS: email',
      'line 8: ROLE_NOT_FOUND: no such role',
      'line 9: INVALID_FIELDS: password_hash',
    ]);
    expect(stderr).toContain('8 of the rows refused');
    expect(stderr).not.toMatch(/^\s+at /m);
    expect(stderr).not.toContain(email);
  });

  it('changes nothing when it is run again, also without request ids', async () => {
    const file = await fileOf('again.ndjson', [{ email: newEmail() }, { email: ` ${newEmail().toUpperCase()}` }, { email: newEmail() }]);
    expect((await admin(['import', file])).stdout).toBe('3 created, 0 unchanged, 0 valid, 0 refused\n');
    expect(await admin(['import', file])).toMatchObject({ code: 0, stdout: '0 created, 3 unchanged, 0 valid, 0 refused\n' });
  });

  it('only checks with --validate-only', async () => {
    const email = newEmail();
    const file = await fileOf('check.ndjson', [{ email }, { email: newEmail(), roles: ['nobody'] }]);
    const { code, stdout } = await admin(['import', '--validate-only', file]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '0 created, 0 unchanged, 1 valid, 1 refused\n' });
    expect(await rows(service, 'select 1 from users where email = $1', [email])).toEqual([]);
  });

  it.each([
    ['no file', ['import'], /npm run admin -- import FILE/],
    ['two files', ['import', 'a', 'b'], /npm run admin -- import FILE/],
    ['a file that is not there', ['import', 'missing.ndjson'], /ENOENT.*missing\.ndjson/],
    ['an option that it does not know', ['import', '--force', 'a'], /--force/],
    ['two files to export to', ['export', 'a', 'b'], /npm run admin -- export \[FILE/],
    ['a folder to export to that is not there', ['export', 'no/such/folder/a'], /ENOENT/],
  ])('given %s says so', async (_, args, reason) => {
    const { code, stdout, stderr } = await admin(args);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(reason);
    expect(stderr).not.toMatch(/^\s+at /m);
  });
});

describe('npm run admin -- export', () => {
  /** All that makes up users, but for what another database makes anew. */
  const users = async ({ pool }: TestDatabase) =>
    (
      await pool.query(
        `select email, username, password_hash, email_verified_at is not null as verified, is_active, request_id, first_name, last_name,
           full_name, bio, birth_date::text, avatar_url, phone, array(select name from roles join user_roles on role_id = roles.id
             where user_roles.user_id = users.id order by 1) as roles
         from users join profiles on user_id = users.id order by email`,
      )
    ).rows;

  it('and import into an empty database reproduces the users, who sign in as before', async () => {
    const registered = await register(service, {
      profile: { fullName: 'Ada "The Countess"\u2003Lovelace', bio: 'one\ntwo', firstName: 'Ä' },
    });
    const imported = newRow({ passwordHash: PASSWORD_HASH, roles: ['service', 'reader'], emailVerified: true, username: newUsername() });
    await importUsers(service, [imported, newRow({ deactivated: true }), ...Array.from({ length: 2200 }, () => newRow())]);
    const file = path.join(folder, 'all.ndjson');
    await writeFile(file, 'what was there before, with a mode of its own', { mode: 0o644 });
    const { code, stdout, stderr } = await admin(['export', file]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
    expect(stderr).toMatch(/\d+ users exported/);
    expect((await stat(file)).mode & 0o777).toBe(0o600);

    const empty = await createDatabase();
    const summary = await admin(['import', file], { DATABASE_URL: empty.url });
    const before = await users(service.database);
    expect(summary).toMatchObject({ code: 0, stdout: `${before.length} created, 0 unchanged, 0 valid, 0 refused\n` });
    const after = await users(empty);
    // A user without a request id has been given one.
    expect(after.map((user) => ({ ...user, request_id: null }))).toEqual(before.map((user) => ({ ...user, request_id: null })));
    for (const [index, { request_id }] of before.entries()) if (request_id) expect(after[index].request_id).toBe(request_id);
    const other = await startService({ PASSWORD_PEPPER: PEPPER }, empty);
    await logIn(other, registered.email, PASSWORD);
    await logIn(other, imported.email ?? '', PASSWORD);
    await other.stop();
    await empty.drop();
  });

  it('writes to stdout without a file, and is written down', async () => {
    const user = await register(service);
    const { code, stdout } = await admin(['export']);
    expect(code).toBe(0);
    const exported = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    const [{ count } = { count: 0 }] = await rows<{ count: number }>(service, 'select count(*)::int as count from users');
    expect(exported).toHaveLength(count);
    expect(exported.find(({ email }) => email === user.email)).toEqual({
      email: user.email,
      profile: { first_name: '', full_name: '' },
      roles: [],
      email_verified: false,
      password_hash: expect.stringMatching(/^bcrypt-hmac-sha384:/),
      deactivated: false,
    });
    const recorded = await rows(
      service,
      `select actor, metadata from audit_events where type = 'user.exported' order by occurred_at desc limit 1`,
    );
    expect(recorded).toEqual([{ actor: 'service_account:system', metadata: { users: String(count) } }]);
  });

  it('of nobody is empty', async () => {
    const empty = await createDatabase();
    const file = path.join(folder, 'nobody.ndjson');
    expect(await admin(['export', file], { DATABASE_URL: empty.url })).toMatchObject({ code: 0, stdout: '' });
    expect(await readFile(file, 'utf8')).toBe('');
    expect((await admin(['import', file], { DATABASE_URL: empty.url })).stdout).toBe('0 created, 0 unchanged, 0 valid, 0 refused\n');
    await empty.drop();
  });
});

describe('beside a service on the embedded database', () => {
  it('users are imported and exported, and the service goes on', async () => {
    const env = { DATA_DIR: path.join(folder, 'data'), GRPC_PORT: '0', BCRYPT_COST: '4' };
    const running = spawn(process.execPath, [MAIN], { cwd: folder, env: { PATH: process.env.PATH, ...env } });
    let stdout = '';
    running.stdout.on('data', (chunk) => {
      stdout += chunk;
    });
    const address = () => /listening on (\S+)/.exec(stdout)?.[1];
    await expect.poll(address, { timeout: 50_000 }).toBeDefined();
    const file = await fileOf('beside.ndjson', [{ email: newEmail() }, { email: newEmail() }]);
    expect(await admin(['import', file], env)).toMatchObject({ code: 0, stdout: '2 created, 0 unchanged, 0 valid, 0 refused\n' });
    const out = path.join(folder, 'beside-out.ndjson');
    expect(await admin(['export', out], env)).toMatchObject({ code: 0 });
    expect((await readLines(out)).length).toBe(2);
    const adminKey = (await readFile(path.join(env.DATA_DIR, 'admin.key'), 'utf8')).trim();
    const answers = await importUsers({ address: address() ?? '', adminKey } as TestService, [newRow()]);
    expect(answers.map(({ outcome }) => outcome)).toEqual(['CREATED']);
    const exited = once(running, 'exit');
    running.kill('SIGTERM');
    expect(await exited).toEqual([0, null]);
  });
});
