import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import pg from 'pg';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { stageBinaries } from '../../../src/database/embedded/binaries.ts';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../../src/database/embedded/embedded-postgres.ts';

const moduleUrl = new URL('../../../src/database/embedded/embedded-postgres.ts', import.meta.url).href;
const folders: string[] = [];
const databases: EmbeddedPostgres[] = [];

// The tests wait more than they compute, so they run side by side; what they started is cleaned up at the end.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 });

afterAll(async () => {
  await Promise.allSettled(databases.map((database) => database.stop()));
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
});

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'identity embedded '));
  folders.push(folder);
  return folder;
}

async function start(folder: string): Promise<EmbeddedPostgres> {
  const database = await startEmbeddedPostgres(folder);
  databases.push(database);
  return database;
}

async function query(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

async function until(condition: () => Promise<boolean> | boolean): Promise<void> {
  const deadline = Date.now() + 15_000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error('The condition did not come true in time');
    await sleep(10);
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** A service in a process group of its own that has started the database and committed the row 42. */
async function spawnService(folder: string): Promise<ChildProcess & { pid: number }> {
  const script = `
    import pg from 'pg';
    import { startEmbeddedPostgres } from '${moduleUrl}';
    const database = await startEmbeddedPostgres(process.env.FOLDER);
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    await client.query('create table kept (n int); insert into kept values (42)');
    console.log('ready');`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    env: { ...process.env, FOLDER: folder },
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit').then(([code]) => Promise.reject(new Error(`The service ended early with ${code}`)));
  await Promise.race([once(createInterface({ input: child.stdout }), 'line'), ended]);
  ended.catch(() => {});
  return child as ChildProcess & { pid: number };
}

async function postmasterPid(folder: string): Promise<number> {
  return Number.parseInt(await readFile(join(folder, 'postgres', 'postmaster.pid'), 'utf8'), 10);
}

/** An orphan may stay behind as a zombie (without a command line) where nobody waits for it, as in some containers. */
async function killAndWait(pid: number): Promise<void> {
  process.kill(pid, 'SIGKILL');
  await until(async () => !isRunning(pid) || (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => 'unknown')) === '');
}

describe.concurrent('an embedded PostgreSQL', () => {
  it('keeps its data across restarts in a folder with spaces', async () => {
    const folder = await temporaryFolder();
    const first = await start(folder);
    await query(first.url, 'create table kept (n int); insert into kept values (1)');
    await first.stop();

    const second = await start(folder);
    expect(second.reused).toBe(false);
    expect(await query(second.url, 'select n from kept')).toEqual([{ n: 1 }]);
  });

  it('runs beneath a folder that only its owner can enter, with an unfriendly name', async () => {
    const closed = join(await temporaryFolder(), `it's "$HOME" \`x\``);
    await mkdir(closed, { mode: 0o700 });
    const database = await start(join(closed, '.data'));
    // Everything that opens files by name: WAL segments, a new database, temporary files, parallel workers, a reload.
    await query(database.url, 'create table big as select n, md5(n::text) as t from generate_series(1, 100000) n');
    await query(database.url, 'select pg_switch_wal(); checkpoint; select pg_reload_conf()');
    await query(database.url, 'create database another');
    const parallel = `set work_mem = '64kB'; set debug_parallel_query = on; select t from big order by t desc limit 1`;
    await query(database.url, parallel);
    expect((await stat(join(closed, '.data', 'postgres.password'))).mode & 0o777).toBe(0o600);
    expect((await stat(join(closed, '.data', 'postgres'))).mode & 0o077).toBe(0);
  });

  it('listens on the loopback interface only, in UTC, with the same order on every machine', async () => {
    const { url } = await start(await temporaryFolder());
    expect(await query(url, 'show listen_addresses')).toEqual([{ listen_addresses: '127.0.0.1' }]);
    expect(await query(url, 'show unix_socket_directories')).toEqual([{ unix_socket_directories: '' }]);
    expect(await query(url, 'show timezone')).toEqual([{ TimeZone: 'UTC' }]);
    expect(await query(url, 'show fsync')).toEqual([{ fsync: 'on' }]);
    const provider = 'select datlocprovider as provider, datlocale as locale from pg_database where datname = current_database()';
    expect(await query(url, provider)).toEqual([{ provider: 'b', locale: 'C.UTF-8' }]);
    await expect(query(url.replace(/:[^:@]+@/, ':wrong@'), 'select 1')).rejects.toMatchObject({ code: '28P01' });
  });

  it('runs beside another one on a different folder', async () => {
    const [one, two] = await Promise.all([start(await temporaryFolder()), start(await temporaryFolder())]);
    await query(one.url, 'create table only_here ()');
    expect(await query(two.url, `select to_regclass('only_here') as found`)).toEqual([{ found: null }]);
    await one.stop();
    expect(await query(two.url, 'select 1 as alive')).toEqual([{ alive: 1 }]);
  });

  it('stops once and for all, however often it is asked to', async () => {
    const folder = await temporaryFolder();
    const database = await start(folder);
    const pid = await postmasterPid(folder);
    await Promise.all([database.stop(), database.stop()]);
    await database.stop();
    await until(() => !isRunning(pid));
    await expect(query(database.url, 'select 1')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });

  it('keeps no process running that has nothing else to do', async () => {
    const folder = await temporaryFolder();
    const script = `await (await import('${moduleUrl}')).startEmbeddedPostgres(process.env.FOLDER)`;
    const options = { env: { ...process.env, FOLDER: folder }, timeout: 20_000 };
    await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], options);
    expect((await start(folder)).reused).toBe(true);
  });
});

describe.concurrent('after a service was killed', () => {
  it('outlives its process group, is used on by the next start and has lost no committed row', async () => {
    const folder = await temporaryFolder();
    const service = await spawnService(folder);
    const orphan = await postmasterPid(folder);
    process.kill(-service.pid, 'SIGKILL');

    const database = await start(folder);
    expect(database.reused).toBe(true);
    expect(await postmasterPid(folder)).toBe(orphan);
    expect(await query(database.url, 'select n from kept')).toEqual([{ n: 42 }]);
    await database.stop();
    await expect(query(database.url, 'select 1')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });

  it('recovers every committed row when the server was killed too', async () => {
    const folder = await temporaryFolder();
    const service = await spawnService(folder);
    await killAndWait(service.pid);
    await killAndWait(await postmasterPid(folder));

    const database = await start(folder);
    expect(database.reused).toBe(false);
    expect(await query(database.url, 'select n from kept')).toEqual([{ n: 42 }]);
  });

  it('ignores a postmaster.pid whose process id belongs to something else, and one left empty', async () => {
    const folder = await temporaryFolder();
    const pidFile = join(folder, 'postgres', 'postmaster.pid');
    await (await start(folder)).stop();
    await writeFile(pidFile, `${process.pid}\n${folder}\n1\n5432\n\n127.0.0.1\n0 0\nready   \n`);
    const database = await start(folder);
    expect(database.reused).toBe(false);
    await database.stop();
    await writeFile(pidFile, '');
    await utimes(pidFile, 0, 0);
    expect((await start(folder)).reused).toBe(false);
  });

  it('begins again when the creation of the cluster was interrupted', async () => {
    const folder = await temporaryFolder();
    const service = spawn(process.execPath, ['-e', `import('${moduleUrl}').then((m) => m.startEmbeddedPostgres(process.env.FOLDER))`], {
      env: { ...process.env, FOLDER: folder },
      detached: true,
      stdio: 'ignore',
    });
    const unfinished = async () => (await readdir(folder)).find((name) => name.startsWith('postgres.new-'));
    await until(async () => (await readdir(join(folder, (await unfinished()) ?? '.', 'data')).catch(() => [])).length > 0);
    process.kill(-(service.pid ?? 0), 'SIGKILL');
    await once(service, 'exit');

    expect(await unfinished()).toBeDefined();
    const database = await start(folder);
    expect(await query(database.url, 'select 1 as alive')).toEqual([{ alive: 1 }]);
    expect(await unfinished()).toBeUndefined();
  });
});

describe.concurrent('a start that cannot succeed', () => {
  it('is refused while another service uses the folder, which works on', async () => {
    const folder = await temporaryFolder();
    const first = await start(folder);
    await expect(startEmbeddedPostgres(folder)).rejects.toThrow(`Another identity service is already using ${folder}`);
    expect(await query(first.url, 'select 1 as alive')).toEqual([{ alive: 1 }]);
  });

  it('leaves exactly one winner when several services start on a new folder at once', async () => {
    const folder = await temporaryFolder();
    const outcomes = await Promise.allSettled([start(folder), start(folder), start(folder)]);
    const [winner, ...others] = outcomes.filter((outcome) => outcome.status === 'fulfilled');
    expect(others).toEqual([]);
    for (const outcome of outcomes.filter((outcome) => outcome.status === 'rejected'))
      expect(outcome.reason.message).toMatch(/already using/);
    expect(await query(winner?.value.url ?? '', 'select 1 as alive')).toEqual([{ alive: 1 }]);
  });

  it('says what the server has logged', async () => {
    const folder = await temporaryFolder();
    await (await start(folder)).stop();
    await writeFile(join(folder, 'postgres', 'postgresql.auto.conf'), "no_such_setting = 'x'\n");
    await expect(startEmbeddedPostgres(folder)).rejects.toThrow(/did not start.*no_such_setting/s);
  });
});

describe.concurrent('the staged copy of the programs', () => {
  async function nativeFolder(): Promise<{ native: string; parent: string }> {
    const parent = await temporaryFolder();
    const native = join(parent, 'package', 'native');
    await mkdir(join(native, 'bin'), { recursive: true, mode: 0o700 });
    await writeFile(join(parent, 'package', 'package.json'), '{ "name": "@some/programs", "version": "1.2.3" }');
    await writeFile(join(native, 'bin', 'postgres'), '', { mode: 0o700 });
    await symlink('postgres', join(native, 'bin', 'alias'));
    return { native, parent };
  }

  it('can be run by every user, keeps links and is made once per version', async () => {
    const { native, parent } = await nativeFolder();
    const [staged, again] = await Promise.all([stageBinaries(native, parent), stageBinaries(native, parent)]);
    expect(staged).toBe(join(parent, 'some-programs-1.2.3'));
    expect(again).toBe(staged);
    expect((await stat(join(staged, 'bin', 'postgres'))).mode & 0o777).toBe(0o755);
    expect(await readlink(join(staged, 'bin', 'alias'))).toBe('postgres');
    expect((await readdir(parent)).sort()).toEqual(['package', 'some-programs-1.2.3']);
  });

  it('is made again when files are missing from it', async () => {
    const { native, parent } = await nativeFolder();
    const staged = await stageBinaries(native, parent);
    await rm(join(staged, 'bin', 'postgres'));
    await stageBinaries(native, parent);
    expect(await readdir(join(staged, 'bin'))).toContain('postgres');
  });

  it('is never a folder that another user could have filled', async () => {
    const { native, parent } = await nativeFolder();
    const staged = await stageBinaries(native, parent);
    await chmod(staged, 0o777);
    await expect(stageBinaries(native, parent)).rejects.toThrow(/others can write to it/);
    await rm(staged, { recursive: true });
    await symlink(native, staged);
    await expect(stageBinaries(native, parent)).rejects.toThrow(/remove it/);
  });
});
