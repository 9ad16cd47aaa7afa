import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { newEmail, PASSWORD, required } from '../support/builders.ts';
import { type Clients, connect } from '../support/client.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { expectStatus, failureOf } from '../support/expect-status.ts';
import { connectHealth } from '../support/health.ts';
import { type HeldUser, holdUser, untilBlocked } from '../support/locks.ts';
import { freePort, listening } from '../support/ports.ts';
import { MAIN, Process } from '../support/process.ts';
import { connectRaw, frame } from '../support/raw-http2.ts';
import { SECRET_KEY } from '../support/service.ts';

const ADMIN = path.resolve(import.meta.dirname, '../../src/commands/admin.ts');

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let folder: string;
let database: TestDatabase;
/** Of an administrator of `database`, made as an operator makes it. */
let adminKey: string;
const started: Process[] = [];
const clients: Clients[] = [];

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'identity-process-'));
  database = await createDatabase();
  adminKey = (await admin('create-service-account', 'test-admin', '--role', 'admin')).stdout.trim();
});

afterEach(() => {
  for (const client of clients.splice(0)) client.close();
  for (const { child, ended } of started.splice(0)) if (!ended) child.kill('SIGKILL');
});

afterAll(async () => {
  await database.drop();
  await rm(folder, { recursive: true, force: true, maxRetries: 5 });
});

const CHEAP = { BCRYPT_COST: '4', GRPC_PORT: '0' };
const embedded = () => ({ ...CHEAP, DATA_DIR: path.join(folder, 'data') });
const external = () => ({ ...CHEAP, DATABASE_URL: database.url, JWT_SECRET_KEY: SECRET_KEY });

function start(env: Record<string, string>, cwd = folder, { ownGroup = false } = {}): Process {
  const service = new Process(env, cwd, [MAIN], ownGroup);
  started.push(service);
  return service;
}

/** `npm run admin`, on `database`. */
async function admin(...args: string[]): Promise<{ code: unknown; stdout: string; stderr: string }> {
  const program = new Process({ DATABASE_URL: database.url }, folder, [ADMIN, ...args]);
  started.push(program);
  const code = await program.exit;
  return { code, stdout: program.stdout, stderr: program.stderr };
}

/** The administrator's key that the embedded database comes with. */
const firstKey = async () => (await readFile(path.join(folder, 'data', 'admin.key'), 'utf8')).trim();

/** Calls as the administrator of `database`, or with another key. */
function clientOf(address: string, key = adminKey): Clients {
  const client = connect(address, key);
  clients.push(client);
  return client;
}

/** The process id of the embedded PostgreSQL, if it says that it runs. */
async function postmaster(): Promise<number | undefined> {
  const content = await readFile(path.join(folder, 'data', 'postgres', 'postmaster.pid'), 'utf8').catch(() => undefined);
  return content === undefined ? undefined : Number.parseInt(content, 10);
}

/** An ended process may stay as a zombie, without a command line, where nobody waits for it. */
async function isRunning(pid: number): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  return (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => 'unknown')) !== '';
}

/** Exit code 0, and not a word: there was nobody to greet, and nothing went wrong. */
async function expectSilentEnd(service: Process): Promise<void> {
  const code = await service.exit;
  expect({ code, stdout: service.stdout, stderr: service.stderr }).toEqual({ code: 0, stdout: '', stderr: '' });
}

describe('with the embedded database', () => {
  it('starts, greets, keeps its data through kill -9 and a stop, and leaves no PostgreSQL behind', async () => {
    const port = await freePort();
    const first = start({ ...embedded(), GRPC_PORT: String(port) });
    expect(await first.address()).toBe(`127.0.0.1:${port}`);
    const account = { email: newEmail(), password: PASSWORD };
    const { auth } = clientOf(`127.0.0.1:${port}`, await firstKey());
    await auth.register(account);
    const accessToken = required((await auth.login(account)).tokens).accessToken;
    const server = required(await postmaster());

    expect(first.stdout.trimEnd().split('\n').length).toBeLessThanOrEqual(20);
    expect(first.stdout).toContain(`${path.join(folder, 'data')} (embedded PostgreSQL)`);
    expect(first.stdout.match(/^ +grpcurl -plaintext .*127\.0\.0\.1:\d+ .*$/gm)).toHaveLength(3);
    const keyFile = path.join(folder, 'data', 'jwt.key');
    const key = await readFile(keyFile, 'utf8');
    expect((await stat(keyFile)).mode & 0o777).toBe(0o600);
    expect(key.trim().length).toBeGreaterThanOrEqual(32);

    first.child.kill('SIGKILL');
    expect(await first.exit).toBe('SIGKILL');
    const second = start(embedded());
    const again = clientOf(await second.address(), await firstKey());
    expect(await readFile(keyFile, 'utf8')).toBe(key);
    expect(await again.auth.introspectToken({ accessToken })).toMatchObject({ active: true, claims: { email: account.email } });
    expect((await again.auth.login(account)).tokens?.accessToken).not.toBe('');
    expect(await postmaster()).toBe(server);

    second.child.kill('SIGTERM');
    expect(await second.exit).toBe(0);
    expect(second.stderr).toBe('');
    expect(await postmaster()).toBeUndefined();
    expect(await isRunning(server)).toBe(false);
  });

  it('makes an administrator at the first start, and keeps the key in a file for its owner alone, out of what is no terminal', async () => {
    const dataDir = path.join(folder, 'first-key');
    const keyFile = path.join(dataDir, 'admin.key');
    // A path below the folder it is started in is shown whole: it works from any other, too.
    const first = start({ ...CHEAP, DATA_DIR: 'first-key' });
    const address = await first.address();
    const content = await readFile(keyFile, 'utf8');
    const key = content.trim();
    expect(content).toBe(`${key}\n`);
    expect(key).toMatch(/^idk_\w+$/);
    expect((await stat(keyFile)).mode & 0o777).toBe(0o600);
    expect(first.stdout).not.toContain('idk_');
    expect(first.stdout).toContain(keyFile);
    const { serviceAccount, permissions } = await clientOf(address, key).auth.getCaller({});
    expect({ name: serviceAccount?.name, permissions }).toEqual({ name: 'admin', permissions: ['*'] });
    first.child.kill('SIGTERM');
    expect(await first.exit).toBe(0);

    const second = start({ ...CHEAP, DATA_DIR: dataDir });
    const again = clientOf(await second.address(), key);
    expect(second.stdout).not.toContain('idk_');
    expect(second.stdout).toContain(keyFile);
    expect(await readFile(keyFile, 'utf8')).toBe(content);
    expect((await again.auth.getCaller({})).serviceAccount?.name).toBe('admin');
    expect((await again.serviceAccounts.listServiceAccounts({})).serviceAccounts.map(({ name }) => name)).toEqual(['admin']);
    second.child.kill('SIGTERM');
    expect(await second.exit).toBe(0);

    await rm(keyFile);
    const third = start({ ...CHEAP, DATA_DIR: dataDir });
    const thirdAddress = await third.address();
    const newKey = (await readFile(keyFile, 'utf8')).trim();
    expect(newKey).not.toBe(key);
    expect(third.stdout).toContain(keyFile);
    expect((await clientOf(thirdAddress, newKey).auth.getCaller({})).permissions).toEqual(['*']);
    third.child.kill('SIGTERM');
    expect(await third.exit).toBe(0);
  });

  it('says in one line that its port is taken, and leaves no PostgreSQL behind', async () => {
    const { server: squatter, port } = await listening();
    const service = start({ ...embedded(), GRPC_PORT: String(port) });
    expect(await service.exit).toBe(1);
    expect(service.stderr.trimEnd().split('\n')).toEqual([expect.stringContaining(`127.0.0.1:${port}`)]);
    expect(service.stderr).toMatch(/in use/);
    expect(service.stdout).toBe('');
    expect(await postmaster()).toBeUndefined();
    squatter.close();
  });

  /** Waits for a sign of how far a start has come. */
  const until = (sign: () => Promise<boolean>) => expect.poll(sign).toBe(true);

  it('a signal while PostgreSQL starts ends it in order', async () => {
    const service = start(embedded());
    await until(async () => (await postmaster()) !== undefined);
    const server = required(await postmaster());
    service.child.kill('SIGTERM');
    await expectSilentEnd(service);
    expect(await postmaster()).toBeUndefined();
    expect(await isRunning(server)).toBe(false);
    const next = start(embedded());
    clientOf(await next.address());
    next.child.kill('SIGINT');
    expect(await next.exit).toBe(0);
    expect(await postmaster()).toBeUndefined();
  });

  it.each([
    ['SIGTERM to the service', 'SIGTERM', (pid: number) => pid],
    ['Ctrl-C, which PostgreSQL gets as well', 'SIGINT', (pid: number) => -pid],
  ] as const)('%s while its database is being made ends it in order, and the next start makes it', async (_, signal, target) => {
    const dataDir = path.join(folder, `interrupted-${signal}`);
    const service = start({ ...CHEAP, DATA_DIR: dataDir }, folder, { ownGroup: true });
    await until(async () => (await readdir(dataDir).catch(() => [])).some((name) => name.startsWith('postgres.new-')));
    process.kill(target(required(service.child.pid)), signal);
    await expectSilentEnd(service);
    expect((await readdir(dataDir)).filter((name) => name.startsWith('postgres.new-'))).toEqual([]);
    expect(await readdir(path.join(dataDir, 'postgres')).catch(() => [])).not.toContain('postmaster.pid');
    const next = start({ ...CHEAP, DATA_DIR: dataDir });
    await next.address();
    next.child.kill('SIGTERM');
    expect(await next.exit).toBe(0);
  });
});

describe('a signal', () => {
  /** A login that is under way, and stays so until its account is released. */
  async function heldLogin(service: Process): Promise<{ login: Promise<unknown>; account: HeldUser; address: string }> {
    const address = await service.address();
    const { auth } = clientOf(address);
    const credentials = { email: newEmail(), password: PASSWORD };
    const { id } = required((await auth.register(credentials)).user);
    const account = await holdUser({ database }, id);
    const login = auth.login(credentials);
    login.catch(() => undefined);
    await untilBlocked({ database }, 1);
    return { login, account, address };
  }

  it.each(['SIGTERM', 'SIGINT'] as const)(
    '%s: health says NOT_SERVING, the call in flight is answered, then the process ends',
    async (name) => {
      const service = start({ ...external(), LOG_LEVEL: 'silent' });
      const { login, account, address } = await heldLogin(service);
      const health = connectHealth(address);
      const watch = health.watch();
      await expect.poll(() => watch.seen).toEqual(['SERVING']);
      const begin = performance.now();
      service.child.kill(name);
      await expect.poll(() => watch.seen).toEqual(['SERVING', 'NOT_SERVING']);
      expect(service.ended).toBe(false);
      await account.release();
      expect(await login).toMatchObject({ tokens: { tokenType: 'Bearer' } });
      // The watch stays open: it must not keep the process.
      expect(await service.exit).toBe(0);
      expect(performance.now() - begin).toBeLessThan(10_000);
      expect(service.stderr).toBe('');
      health.close();
    },
  );

  it('while the service still waits for its database ends it in order', async () => {
    const { server: silent, port } = await listening();
    const asked = once(silent, 'connection');
    const service = start({ ...external(), DATABASE_URL: `postgresql://identity:hunter2@127.0.0.1:${port}/identity` });
    await asked;
    service.child.kill('SIGTERM');
    await expectSilentEnd(service);
    silent.close();
  });

  it('once more, at once after the first, is the same wish', async () => {
    const service = start({ ...external(), LOG_LEVEL: 'silent' });
    const { login, account } = await heldLogin(service);
    service.child.kill('SIGINT');
    service.child.kill('SIGTERM');
    await account.release();
    expect(await login).toMatchObject({ tokens: { tokenType: 'Bearer' } });
    expect(await service.exit).toBe(0);
  });

  it('once more, later, ends the process at once', async () => {
    const service = start({ ...external(), LOG_LEVEL: 'silent' });
    const { login, account, address } = await heldLogin(service);
    const health = connectHealth(address);
    const watch = health.watch();
    await expect.poll(() => watch.seen).toEqual(['SERVING']);
    service.child.kill('SIGTERM');
    await expect.poll(() => watch.seen).toEqual(['SERVING', 'NOT_SERVING']);
    // Sooner, it would be the same wish.
    await sleep(300);
    expect(service.ended).toBe(false);
    service.child.kill('SIGTERM');
    expect(await service.exit).toBe(1);
    expect(await failureOf(login)).toMatchObject({ code: 'UNAVAILABLE' });
    await account.release();
    health.close();
  });
});

describe('a start that cannot succeed', () => {
  it('refuses to offer plaintext to a network', async () => {
    const service = start({ ...external(), GRPC_HOST: '0.0.0.0' });
    expect(await service.exit).toBe(1);
    expect(service.stdout).toBe('');
    expect(service.stderr).toContain('ALLOW_PLAINTEXT=true');
  });

  it('lists all that is wrong with the settings, and shows no secret', async () => {
    const service = start({
      ...external(),
      GRPC_PORT: 'x',
      BCRYPT_COST: '99',
      JWT_SECRET_KEY: 'hunter2',
      DATABASE_URL: 'mysql://a:hunter2@b',
    });
    expect(await service.exit).toBe(1);
    expect(service.stdout).toBe('');
    expect(service.stderr.trimEnd().split('\n')).toEqual([
      'The configuration is not usable:',
      expect.stringContaining('DATABASE_URL'),
      expect.stringContaining('GRPC_PORT'),
      expect.stringContaining('JWT_SECRET_KEY'),
      expect.stringContaining('BCRYPT_COST'),
    ]);
    expect(service.stderr).not.toContain('hunter2');
  });

  it('names the command to run where the schema is behind', async () => {
    const empty = await createDatabase({ migrated: false });
    const service = start({ ...external(), DATABASE_URL: empty.url });
    expect(await service.exit).toBe(1);
    expect(service.stderr).toContain('npm run db:up');
    expect(service.stderr).not.toMatch(/^\s+at /m);
    await empty.drop();
  });

  it.each([
    ['refuses connections', async () => `postgresql://identity:hunter2@127.0.0.1:${await freePort()}/identity`, /ECONNREFUSED/],
    [
      'refuses connections on every address of its name',
      async () => `postgresql://identity:hunter2@localhost:${await freePort()}/identity`,
      /ECONNREFUSED/,
    ],
    ['does not answer', async () => `postgresql://identity:hunter2@127.0.0.1:${(await listening()).port}/identity`, /timeout/],
    ['has another password', async () => database.url.replace(/:[^:@/]+@/, ':hunter2@'), /password authentication failed/],
    ['is not there', async () => database.url.replace(/\/\w+$/, '/hunter3'), /"hunter3" does not exist/],
  ])('says in one line that the database %s, and where to look', async (_, url, reason) => {
    const service = start({ ...external(), DATABASE_URL: await url() });
    expect(await service.exit).toBe(1);
    expect(service.stdout).toBe('');
    expect(service.stderr.trimEnd().split('\n')).toEqual([expect.stringMatching(reason)]);
    expect(service.stderr).toContain('DATABASE_URL');
    expect(service.stderr).not.toContain('hunter2');
  });
});

describe('npm run admin', () => {
  const MAKE = 'create-service-account';
  /** Without its password. */
  const WHICH_DATABASE = /^database: test_\w+ at 127\.0\.0\.1:\d+\n/;

  async function rolesOf({ auth, serviceAccounts }: Clients): Promise<string[] | undefined> {
    const { serviceAccountId } = required((await auth.getCaller({})).serviceAccount);
    return (await serviceAccounts.getServiceAccount({ serviceAccountId })).serviceAccount?.roles;
  }

  it('create-service-account prints a key of a new account in these roles, and nothing else', async () => {
    const { code, stdout, stderr } = await admin(MAKE, 'backend', '--role', 'admin');
    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringMatching(WHICH_DATABASE) });
    expect(stdout).toMatch(/^idk_\w+\n$/);
    const { stdout: ofReader } = await admin(MAKE, 'dashboard', '--role', 'reader', '--role', 'service');
    const service = start({ ...external(), LOG_LEVEL: 'silent' });
    const address = await service.address();
    const backend = clientOf(address, stdout.trim());
    const { serviceAccount, permissions } = await backend.auth.getCaller({});
    expect({ name: serviceAccount?.name, permissions }).toEqual({ name: 'backend', permissions: ['*'] });
    expect(await rolesOf(backend)).toEqual(['admin']);
    const dashboard = clientOf(address, ofReader.trim());
    expect(await rolesOf(dashboard)).toEqual(['reader', 'service']);
    expect(await failureOf(dashboard.roles.createRole({ role: { name: 'x1', permissions: [] } }))).toMatchObject({
      code: 'PERMISSION_DENIED',
    });
    expect(service.stdout).not.toContain('idk_');
  });

  it('gives an account that is there another key, and the roles that it lacks', async () => {
    const first = await admin(MAKE, 'existing', '--role', 'reader');
    const second = await admin(MAKE, 'existing', '--role', 'admin');
    expect(second).toMatchObject({ code: 0, stderr: expect.stringMatching(WHICH_DATABASE) });
    expect(second.stdout).not.toBe(first.stdout);
    const service = start({ ...external(), LOG_LEVEL: 'silent' });
    const address = await service.address();
    for (const { stdout } of [first, second]) expect(await rolesOf(clientOf(address, stdout.trim()))).toEqual(['admin', 'reader']);
  });

  it.each([
    ['nothing', []],
    ['another command', ['drop-everything', 'backend']],
    ['no name', [MAKE, '--role', 'admin']],
    ['a name that is none', [MAKE, 'Not A Name', '--role', 'admin']],
    ['two names', [MAKE, 'one', 'two', '--role', 'admin']],
    ['a role that cannot be one', [MAKE, 'one', '--role', '']],
  ])('given %s says how it is used, and makes nothing', async (_, args) => {
    const { code, stdout, stderr } = await admin(...args);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain('npm run admin -- create-service-account NAME --role ROLE');
    expect(stderr).not.toMatch(/^\s+at /m);
    expect((await database.pool.query(`select name from service_accounts where name = 'one'`)).rows).toEqual([]);
  });

  it.each([
    ['an option that it does not know', [MAKE, 'one', '--rule', 'admin'], /--rule/],
    ['a role that does not exist', [MAKE, 'one', '--role', 'no-such-role'], /role/],
  ])('given %s says so in one line, and makes nothing', async (_, args, reason) => {
    const { code, stdout, stderr } = await admin(...args);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr.replace(WHICH_DATABASE, '').trimEnd().split('\n')).toEqual([expect.stringMatching(reason)]);
    expect((await database.pool.query(`select name from service_accounts where name = 'one'`)).rows).toEqual([]);
  });

  it('names the command to run where the schema is behind', async () => {
    const empty = await createDatabase({ migrated: false });
    const program = new Process({ DATABASE_URL: empty.url }, folder, [ADMIN, MAKE, 'one', '--role', 'admin']);
    expect(await program.exit).toBe(1);
    expect(program.stdout).toBe('');
    expect(program.stderr).toContain('npm run db:up');
    await empty.drop();
  });

  it('says that the database does not answer', async () => {
    const url = `postgresql://identity:hunter2@localhost:${await freePort()}/identity`;
    const program = new Process({ DATABASE_URL: url }, folder, [ADMIN, MAKE, 'one', '--role', 'admin']);
    expect(await program.exit).toBe(1);
    expect(program.stderr.trimEnd().split('\n')).toEqual([expect.stringMatching(/DATABASE_URL.*ECONNREFUSED/)]);
    expect(program.stderr).not.toContain('hunter2');
  });
});

describe('the file .env of the folder it is started in', () => {
  it('is read; the environment comes first', async () => {
    const cwd = await mkdtemp(path.join(folder, 'cwd-'));
    const fileSettings = { ...external(), BCRYPT_COST: 'x', LOG_LEVEL: 'silent' };
    await writeFile(
      path.join(cwd, '.env'),
      Object.entries(fileSettings)
        .map(([name, value]) => `${name}="${value}"\n`)
        .join(''),
    );
    const service = start({ BCRYPT_COST: '4' }, cwd);
    const { auth } = clientOf(await service.address());
    const email = newEmail();
    await auth.register({ email, password: PASSWORD });
    expect((await database.pool.query('select from users where email = $1', [email])).rowCount).toBe(1);
    service.child.kill('SIGTERM');
    expect(await service.exit).toBe(0);
  });
});

describe('what the process writes', () => {
  it('says once, and not for every call, that the store of the rate limits does not answer', async () => {
    const service = start({ ...external(), LOG_LEVEL: 'warn' });
    const { auth } = clientOf(await service.address());
    const email = newEmail();
    await auth.register({ email, password: PASSWORD });
    await database.pool.query('alter table rate_limits rename to elsewhere');
    try {
      // Of one caller after another, as each has a share of the limit in memory once it has called.
      for (let caller = 0; caller < 5; caller++) {
        const { stdout: key } = await admin('create-service-account', `caller-${caller}`, '--role', 'admin');
        for (let call = 0; call < 4; call++) await auth.getCaller({}, { token: key.trim() });
        expect(await failureOf(auth.login({ email, password: PASSWORD }))).toMatchObject({
          code: 'UNAVAILABLE',
          reason: 'DATABASE_UNAVAILABLE',
        });
      }
    } finally {
      await database.pool.query('alter table elsewhere rename to rate_limits');
    }
    await auth.login({ email, password: PASSWORD });
    service.child.kill('SIGTERM');
    const exit = await service.exit;
    const lines = service.stdout.split('\n');
    expect([exit, service.stderr, lines.filter((line) => line.includes('did not end'))]).toEqual([0, '', []]);
    const warnings = lines.filter((line) => line.includes('store of the rate limits'));
    expect(warnings).toHaveLength(1);
    expect(JSON.parse(warnings[0] ?? '')).toMatchObject({ level: 40, msg: expect.stringContaining('does not answer') });
  });

  it('tells at the default level which call has failed, whose it was, why, and how long it took; no more of a kind than help', async () => {
    const service = start(external());
    const { auth } = clientOf(await service.address());
    const metadata = { 'x-request-id': 'order-4712' };
    const email = newEmail();
    await expectStatus(auth.login({ email, password: 'wrong' }, { metadata }), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
    await expect.poll(() => service.logged('call failed')).toHaveLength(1);
    expect(service.logged('call failed')).toEqual([
      {
        level: 30,
        time: expect.any(String),
        rpc: '/identity.v1.AuthService/Login',
        requestId: 'order-4712',
        caller: 'service_account:test-admin',
        ms: expect.any(Number),
        code: 'UNAUTHENTICATED',
        reason: 'INVALID_CREDENTIALS',
        msg: 'call failed',
      },
    ]);
    for (let call = 0; call < 60; call++) await failureOf(auth.refreshToken({ refreshToken: 'x' }));
    expect(service.logged('call failed').filter(({ reason }) => reason === 'INVALID_REFRESH_TOKEN')).toHaveLength(20);
    expect(service.logged('call served')).toEqual([]);
    expect(await service.end('SIGTERM')).toBe(0);
  });

  it('tells a fault of the database in one line, however many calls it fails', async () => {
    const service = start(external());
    const { auth, users } = clientOf(await service.address());
    await database.pool.query('alter table rate_limits rename to elsewhere');
    try {
      for (let call = 0; call < 30; call++) {
        await expectStatus(auth.login({ email: newEmail(), password: PASSWORD }), 'UNAVAILABLE', 'DATABASE_UNAVAILABLE');
      }
    } finally {
      await database.pool.query('alter table elsewhere rename to rate_limits');
    }
    await users.listUsers({});
    expect(service.logged('call failed')).toMatchObject([{ level: 40, code: 'UNAVAILABLE', cause: { code: '42P01' } }]);
    expect(await service.end('SIGTERM')).toBe(0);
  });

  it('tells of calls that succeed where ACCESS_LOG wants it', async () => {
    const service = start({ ...external(), ACCESS_LOG: 'true' });
    const { auth } = clientOf(await service.address());
    await auth.getCaller({}, { metadata: { 'x-request-id': 'order-4713' } });
    await expect
      .poll(() => service.logged('call served'))
      .toMatchObject([
        { level: 30, rpc: '/identity.v1.AuthService/GetCaller', requestId: 'order-4713', caller: 'service_account:test-admin' },
      ]);
    expect(await service.end('SIGTERM')).toBe(0);
  });

  it('names a defect by its place and SQLSTATE, and nothing of what the caller sent', async () => {
    const service = start({ ...external(), LOG_LEVEL: 'trace' });
    const address = await service.address();
    const { auth, users } = clientOf(address);
    const email = newEmail();
    const metadata = { 'x-request-id': 'order-4711' };
    const profile = { firstName: 'Personal', lastName: 'Detail' };
    await auth.register({ email, password: PASSWORD, profile });
    const banner = service.stdout.length;
    // A message of the database that quotes the row, as many do.
    await database.pool.query(`
      create function complain() returns trigger language plpgsql as $$ begin raise exception 'bad row: %', new; end $$;
      create trigger complain before insert on users for each row execute function complain()`);
    try {
      const failure = await failureOf(users.createUser({ email: newEmail(), password: PASSWORD, profile }, { metadata }));
      expect(failure).toMatchObject({ code: 'INTERNAL', reason: 'INTERNAL_ERROR', message: 'internal error', requestId: 'order-4711' });
      expect(failure).toMatchObject({ metadata: {}, fields: [], descriptions: [] });
    } finally {
      await database.pool.query('drop function complain() cascade');
    }
    expect(await failureOf(auth.login({ email, password: 'wrong but personal' }, { metadata }))).toMatchObject({
      reason: 'INVALID_CREDENTIALS',
    });
    const refused = await failureOf(auth.login({ email, password: 'wrong but personal' }, { metadata, token: 'secret-token' }));
    expect(refused).toMatchObject({ reason: 'CALLER_UNAUTHENTICATED' });
    const raw = connectRaw(address);
    await raw.call('/identity.v1.UserService/GetUser', frame(new Uint8Array()), { authorization: 'Bearer secret-token-\u00ff' });
    raw.close();
    service.child.kill('SIGTERM');
    expect(await service.exit).toBe(0);

    const lines = service.stdout
      .slice(banner)
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    const defect = lines.find(({ rpc }) => rpc === '/identity.v1.UserService/CreateUser');
    expect(defect).toMatchObject({ level: 50, requestId: 'order-4711', code: 'INTERNAL', cause: { code: 'P0001' } });
    expect(defect.cause.stack.join('\n')).toMatch(/\.ts:\d+|\.js:\d+/);
    const written = service.stdout.slice(banner) + service.stderr;
    expect(written).not.toMatch(/@example\.com|correct horse|personal|detail|bad row|secret-token|idk_|insert into|select /i);
    expect(service.stderr).toBe('');
  });
});
