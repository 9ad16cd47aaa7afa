import { randomUUID } from 'node:crypto';
import { copyFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { createServiceAccountKey } from '../../../src/access/first-key.ts';
import { openServiceOrm } from '../../../src/app/orm.ts';
import { newEmail, PASSWORD, required } from '../../support/builders.ts';
import { Authority } from '../../support/certificates.ts';
import { type Clients, connect } from '../../support/client.ts';
import { createDatabase, type TestDatabase } from '../../support/database.ts';
import { failureOf } from '../../support/expect-status.ts';
import { connectHealth, type HealthClient } from '../../support/health.ts';
import { type HeldUser, holdUser, untilBlocked } from '../../support/locks.ts';
import { freePort, listening } from '../../support/ports.ts';
import { MAIN, Process } from '../../support/process.ts';
import { SECRET_KEY } from '../../support/service.ts';
import { PROMISED_MS, staleFor } from '../../support/staleness.ts';

let folder: string;
let database: TestDatabase;
let adminKey: string;
const started: Process[] = [];
const opened: { close(): void }[] = [];

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'identity-cluster-'));
  database = await createDatabase();
  const orm = await openServiceOrm({ url: database.url });
  adminKey = await createServiceAccountKey(orm.em, 'test-admin', ['admin']);
  await orm.close();
});

function endAll(): void {
  for (const client of opened.splice(0)) client.close();
  for (const { child, ended } of started.splice(0)) if (!ended) child.kill('SIGKILL');
}

afterAll(async () => {
  endAll();
  await database.drop();
  await rm(folder, { recursive: true, force: true, maxRetries: 5 });
});

const SETTINGS = { CLUSTER_WORKERS: '2', BCRYPT_COST: '4', GRPC_PORT: '0' };

function start(env: Record<string, string> = {}, { ownGroup = false } = {}): Process {
  const service = new Process({ ...SETTINGS, DATABASE_URL: database.url, JWT_SECRET_KEY: SECRET_KEY, ...env }, folder, [MAIN], ownGroup);
  started.push(service);
  return service;
}

/** Clients that share a connection with nobody else. */
function connectAnew(address: string, key = adminKey): Clients {
  const clients = connect(address, key, undefined, { 'grpc.primary_user_agent': randomUUID() });
  opened.push(clients);
  return clients;
}

function watchAnew(address: string): ReturnType<HealthClient['watch']> {
  const health = connectHealth(address, { 'grpc.primary_user_agent': randomUUID() });
  opened.push(health);
  return health.watch();
}

/** Whom a connection leads to: a call that fails is logged by who answers it. */
async function workerOf(service: Process, { users }: Clients): Promise<unknown> {
  const requestId = randomUUID();
  await failureOf(users.getUser({ userId: 'none' }, { metadata: { 'x-request-id': requestId } }));
  const line = () => service.logged('call failed').find((fields) => fields.requestId === requestId);
  await vi.waitFor(() => expect(line()).toBeDefined(), { timeout: 20_000 });
  return line()?.worker;
}

/** A connection to each of the two workers, whoever gets the next one. */
async function connectToEach(service: Process, address: string): Promise<[Clients, Clients]> {
  const found = new Map<unknown, Clients>();
  for (let count = 0; found.size < 2 && count < 20; count++) {
    const clients = connectAnew(address);
    found.set(await workerOf(service, clients), clients);
  }
  return [required(found.get(1)), required(found.get(2))];
}

/** The process ids of all workers that ever listened: of each, the latest last. */
const pidsOf = (service: Process, number: number) =>
  service
    .logged('worker listens')
    .filter(({ worker }) => worker === number)
    .map(({ pid }) => Number(pid));

const workersOf = (service: Process) => [1, 2].map((number) => required(pidsOf(service, number).at(-1)));

describe('two workers behind one port', () => {
  let service: Process;
  let address: string;
  let metricsPort: number;
  /** Six connections, in the order in which they were made. */
  const connections: Clients[] = [];
  const workers: unknown[] = [];

  beforeAll(async () => {
    metricsPort = await freePort();
    service = start({ LOG_LEVEL: 'debug', METRICS_PORT: String(metricsPort) });
    address = await service.address();
    for (let count = 0; count < 6; count++) {
      const clients = connectAnew(address);
      connections.push(clients);
      workers.push(await workerOf(service, clients));
    }
  });

  afterAll(endAll);

  /** A connection to each of the two. */
  const oneOfEach = () => [1, 2].map((number) => required(connections[workers.indexOf(number)])) as [Clients, Clients];

  const metric = async (name: string) => {
    const text = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
    const line = text.split('\n').find((candidate) => candidate.startsWith(`${name} `));
    return line === undefined ? undefined : Number(line.slice(name.length + 1));
  };

  it('greet once, when both of them take connections: from the first one on both get some', () => {
    expect(service.stdout.match(/listening on/g)).toHaveLength(1);
    // In turn, but for one who has not yet thanked for the last one.
    for (const number of [1, 2]) expect(workers.filter((worker) => worker === number).length).toBeGreaterThanOrEqual(2);
  });

  it('are told no secret on their command lines', async () => {
    for (const pid of [required(service.child.pid), ...workersOf(service)]) {
      const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => 'main.ts');
      expect(commandLine).toContain('main.ts');
      expect(commandLine).not.toContain(SECRET_KEY);
      expect(commandLine).not.toContain('postgres');
    }
  });

  it('share the connections to the database that are allowed to the service', async () => {
    const ask = () => Promise.all(connections.flatMap(({ users }) => Array.from({ length: 10 }, () => users.listUsers({}))));
    const count = async () => {
      const sql = `select count(*)::int from pg_stat_activity where datname = current_database() and application_name = 'identity'`;
      return (await database.pool.query<{ count: number }>(sql)).rows[0]?.count;
    };
    await ask();
    expect(await count()).toBe(10);
  });

  it('both refuse a session within 250 ms after one of them has ended it', async () => {
    const [here, there] = oneOfEach();
    const email = newEmail();
    await here.auth.register({ email, password: PASSWORD });
    for (let round = 0; round < 5; round++) {
      const { accessToken, sessionId } = required((await there.auth.login({ email, password: PASSWORD })).tokens);
      const isActive = async ({ auth }: Clients) => (await auth.introspectToken({ accessToken })).active;
      // Twice, so that the second answer is one from memory.
      for (const clients of [...connections, ...connections]) expect(await isActive(clients)).toBe(true);
      await here.sessions.revokeSession({ sessionId });
      expect(await isActive(here)).toBe(false);
      expect(await staleFor(async () => (await Promise.all(connections.map(isActive))).includes(true))).toBeLessThanOrEqual(PROMISED_MS);
    }
  });

  it('both refuse a key within 250 ms after one of them has revoked it', async () => {
    const [here] = oneOfEach();
    const { serviceAccount } = await here.serviceAccounts.createServiceAccount({ name: 'shop', roles: ['reader'] });
    const { key, apiKey } = await here.apiKeys.createApiKey({ serviceAccountId: required(serviceAccount).id, name: 'one' });
    const isKnown = ({ auth }: Clients) =>
      auth.getCaller({}, { token: key }).then(
        () => true,
        () => false,
      );
    for (const clients of [...connections, ...connections]) expect(await isKnown(clients)).toBe(true);
    await here.apiKeys.revokeApiKey({ apiKeyId: required(apiKey).id });
    expect(await staleFor(async () => (await Promise.all(connections.map(isKnown))).includes(true))).toBeLessThanOrEqual(PROMISED_MS);
  });

  it('are counted together', async () => {
    const calls = 'identity_rpc_duration_seconds_count{rpc="/identity.v1.UserService/ListUsers",code="OK"}';
    const before = (await metric(calls)) ?? 0;
    for (const { users } of connections) await users.listUsers({});
    expect(await metric(calls)).toBe(before + 6);
    expect(await metric('identity_workers')).toBe(2);
    expect(await metric('identity_events_lag_seconds')).toBeLessThan(5);
  });

  it('one that dies is replaced while the other serves on, and what it had counted stays counted', async () => {
    const [dying, living] = oneOfEach();
    const calls = 'identity_rpc_duration_seconds_count{rpc="/identity.v1.UserService/ListUsers",code="OK"}';
    const counted = required(await metric(calls));
    const [first = 0] = workersOf(service);
    process.kill(first, 'SIGKILL');
    await expect.poll(() => service.logged('worker ended')).toMatchObject([{ worker: 1, pid: first, how: 'SIGKILL' }]);
    await living.users.listUsers({});
    await expect.poll(() => pidsOf(service, 1)).toHaveLength(2);
    expect(await metric(calls)).toBe(counted + 1);
    expect(await metric('identity_worker_ends_total')).toBe(1);
    expect(await metric('identity_workers')).toBe(2);
    // A connection that was lost is made anew.
    await vi.waitFor(() => dying.users.listUsers({}), { timeout: 10_000 });
    const [again] = await connectToEach(service, address);
    await again.users.listUsers({});
    expect(service.stdout.match(/listening on/g)).toHaveLength(1);
  });

  it('end with a reason when none of them is left and another one cannot begin', async () => {
    await database.pool.query('alter table mikro_orm_migrations rename to elsewhere');
    try {
      for (const pid of workersOf(service)) process.kill(pid, 'SIGKILL');
      expect(await service.exit).toBe(1);
      expect(service.stderr).toContain('npm run db:up');
    } finally {
      await database.pool.query('alter table elsewhere rename to mikro_orm_migrations');
    }
  });
});

describe('the end of a service of two workers', () => {
  afterEach(endAll);

  /** On both workers: a login that is under way until its account is released, and somebody who watches the health. */
  async function busy() {
    const service = start({ LOG_LEVEL: 'debug' }, { ownGroup: true });
    const address = await service.address();
    const watches = Array.from({ length: 4 }, () => watchAnew(address));
    for (const { seen } of watches) await expect.poll(() => seen).toEqual(['SERVING']);
    const accounts: HeldUser[] = [];
    const logins: Promise<unknown>[] = [];
    for (const { auth } of await connectToEach(service, address)) {
      const credentials = { email: newEmail(), password: PASSWORD };
      const { id } = required((await auth.register(credentials)).user);
      accounts.push(await holdUser({ database }, id));
      const login = auth.login(credentials);
      login.catch(() => undefined);
      logins.push(login);
      await untilBlocked({ database }, logins.length);
    }
    const release = () => Promise.all(accounts.map((account) => account.release()));
    return { service, watches, logins, release };
  }

  it.each([
    ['SIGTERM', 'SIGTERM', (pid: number) => pid, 0],
    ['Ctrl-C, which the workers get as well', 'SIGINT', (pid: number) => -pid, 0],
    ['the sudden death of the primary', 'SIGKILL', (pid: number) => pid, 'SIGKILL'],
  ] as const)('%s: health says NOT_SERVING, the calls in flight are answered, and no process is left', async (_, signal, target, code) => {
    const { service, watches, logins, release } = await busy();
    process.kill(target(required(service.child.pid)), signal);
    for (const { seen } of watches) await expect.poll(() => seen).toEqual(['SERVING', 'NOT_SERVING']);
    await release();
    for (const login of logins) expect(await login).toMatchObject({ tokens: { tokenType: 'Bearer' } });
    // The workers hold its standard output as well: this is when the last of them has ended.
    expect(await service.exit).toBe(code);
    expect(service.stderr).toBe('');
    expect(service.logged('worker ended')).toEqual([]);
  });

  it('a second signal ends all of them at once', async () => {
    const { service, watches, logins, release } = await busy();
    service.child.kill('SIGTERM');
    for (const { seen } of watches) await expect.poll(() => seen).toEqual(['SERVING', 'NOT_SERVING']);
    // Sooner, it would be the same wish.
    await sleep(300);
    expect(service.ended).toBe(false);
    service.child.kill('SIGTERM');
    expect(await service.exit).toBe(1);
    for (const login of logins) expect(await failureOf(login)).toMatchObject({ code: 'UNAVAILABLE' });
    await release();
  });
});

describe('a start of two workers', () => {
  afterEach(endAll);

  it('with the embedded database greets with the place of one key, and leaves no PostgreSQL behind', async () => {
    const dataDir = path.join(folder, 'data');
    const service = new Process({ ...SETTINGS, DATA_DIR: dataDir }, folder);
    started.push(service);
    const address = await service.address();
    const key = (await readFile(path.join(dataDir, 'admin.key'), 'utf8')).trim();
    expect(service.stdout.split('admin.key')[0]).toContain('API key    in ');
    for (const { auth } of [connectAnew(address, key), connectAnew(address, key)]) {
      expect((await auth.getCaller({})).permissions).toEqual(['*']);
    }
    expect(await service.end('SIGTERM')).toBe(0);
    expect(service.stderr).toBe('');
    await expect(readFile(path.join(dataDir, 'postgres', 'postmaster.pid'))).rejects.toThrow('ENOENT');
  });

  it('that cannot listen says so once, and exits', async () => {
    const { server: squatter, port } = await listening();
    const service = start({ GRPC_PORT: String(port) });
    expect(await service.exit).toBe(1);
    expect(service.stderr.trimEnd().split('\n')).toEqual([expect.stringMatching(new RegExp(`127.0.0.1:${port}.*EADDRINUSE`))]);
    expect(service.stdout).not.toContain('listening on');
    squatter.close();
  });

  it('with TLS shows a renewed certificate on both, while open connections go on', async () => {
    const authority = new Authority();
    opened.push({ close: () => authority.dispose() });
    const server = authority.sign('localhost');
    const service = start({ TLS_CERT_FILE: server.certFile, TLS_KEY_FILE: server.keyFile });
    const port = Number((await service.address()).split(':')[1]);
    const serial = () =>
      new Promise<string>((resolve, reject) => {
        const socket = connectTls({ host: '127.0.0.1', port, ca: authority.ca, servername: 'localhost', ALPNProtocols: ['h2'] }, () => {
          resolve(socket.getPeerCertificate().serialNumber);
          socket.destroy();
        });
        socket.on('error', reject);
      });
    const serials = async () => new Set([await serial(), await serial(), await serial(), await serial()]);
    const before = await serials();
    expect(before.size).toBe(1);
    const renewed = authority.sign('localhost', { file: 'renewed' });
    copyFileSync(renewed.keyFile, server.keyFile);
    copyFileSync(renewed.certFile, server.certFile);
    await expect.poll(async () => (await serials()).isDisjointFrom(before)).toBe(true);
  });
});
