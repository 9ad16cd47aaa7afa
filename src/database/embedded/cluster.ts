import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { access, chown, link, mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { type Binaries, locateBinaries } from './binaries.ts';

/** The user PostgreSQL runs as when the service itself is root, which PostgreSQL refuses to be. */
export interface ServerAccount {
  uid: number;
  gid: number;
}

/** An initialised database cluster on disk, with what is needed to run it. */
export interface Cluster {
  dataDir: string;
  dir: string;
  logFile: string;
  passwordFile: string;
  password: string;
  binaries: Binaries;
  account: ServerAccount | undefined;
}

const temporaryPrefix = 'postgres.new-';
const ownWorkshops = new Set<string>();
const run = promisify(execFile);

export async function prepareCluster(folder: string): Promise<Cluster> {
  const dataDir = resolve(folder);
  const dir = join(dataDir, 'postgres');
  const passwordFile = join(dataDir, 'postgres.password');
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  await removeInterrupted(dataDir);
  const account = await serverAccount(dir);
  const binaries = await locateBinaries(account !== undefined);
  const password = await ensurePassword(passwordFile, dir);
  const cluster = { dataDir, dir, logFile: join(dataDir, 'postgres.log'), passwordFile, password, binaries, account };
  if (!(await isInitialised(dir))) await initialise(cluster);
  return cluster;
}

/** The options that both initdb and postgres are started with: the right user, in the cluster's folder. */
export function spawnOptions(cluster: Cluster, dir: string) {
  const { PATH, SystemRoot, TEMP, TMP } = process.env;
  // Not the service's environment: it holds secrets, and PG* variables meant for another server.
  return { cwd: dir, env: { PATH, SystemRoot, TEMP, TMP, LC_ALL: 'C' }, windowsHide: true, ...cluster.account };
}

/**
 * The cluster's name for `-D`. On Linux it is the working directory: the kernel follows /proc/self/cwd straight to the
 * folder, so the folders above may be closed to the server account (as /root is) and may have any name. It has to be the
 * cluster itself, nothing below or above, because PostgreSQL changes into the folder it is given. Elsewhere, root needs a
 * data folder that every user can reach.
 */
export function clusterArgument(dir: string): string {
  return process.platform === 'linux' ? '/proc/self/cwd' : dir;
}

/** Undefined: as ourselves. Root runs an existing cluster as its owner, so that a start with sudo does no harm. */
async function serverAccount(dir: string): Promise<ServerAccount | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const existing = await stat(dir).catch(() => undefined);
  if (existing && existing.uid !== 0) return { uid: existing.uid, gid: existing.gid };
  const entry = /^nobody:[^:]*:(\d+):(\d+):/m.exec(await readFile('/etc/passwd', 'utf8').catch(() => ''));
  return { uid: Number(entry?.[1] ?? 65534), gid: Number(entry?.[2] ?? 65534) };
}

async function isInitialised(dir: string): Promise<boolean> {
  return exists(join(dir, 'PG_VERSION'));
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** One password for the life of the cluster. Linking publishes it whole and only once, whoever else is starting. */
async function ensurePassword(file: string, dir: string): Promise<string> {
  if (!(await exists(file))) {
    if (await isInitialised(dir)) throw new Error(`${file} is missing: restore it, or remove ${dir} and lose its data`);
    const draft = `${file}.${process.pid}-${randomBytes(6).toString('hex')}`;
    await writeFile(draft, `${randomBytes(24).toString('base64url')}\n`, { mode: 0o600, flush: true });
    await link(draft, file).catch(ignoreExisting);
    await rm(draft);
  }
  return (await readFile(file, 'utf8')).trim();
}

function ignoreExisting(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EEXIST') throw error;
}

/** initdb works in a folder of its own, which is renamed when complete: an interrupted one is never taken for a cluster. */
async function initialise(cluster: Cluster): Promise<void> {
  const workshop = join(cluster.dataDir, `${temporaryPrefix}${process.pid}-${randomBytes(6).toString('hex')}`);
  const fresh = join(workshop, 'data');
  ownWorkshops.add(workshop);
  try {
    await mkdir(fresh, { recursive: true, mode: 0o700 });
    await writeFile(join(workshop, 'password'), `${cluster.password}\n`, { mode: 0o600 });
    await handOver(cluster.account, workshop, fresh, join(workshop, 'password'));
    await initdb(cluster, fresh);
    await publish(cluster, fresh);
  } finally {
    await rm(workshop, { recursive: true, force: true, maxRetries: 3 });
    ownWorkshops.delete(workshop);
  }
}

async function handOver(account: ServerAccount | undefined, ...paths: string[]): Promise<void> {
  if (account) for (const path of paths) await chown(path, account.uid, account.gid);
}

async function initdb(cluster: Cluster, dir: string): Promise<void> {
  const args = ['-D', clusterArgument(dir), '--username=identity', '--auth=scram-sha-256', '--pwfile=../password', '--no-instructions'];
  // The builtin provider sorts alike on every machine, whatever locales it has.
  const locale = ['--encoding=UTF8', '--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8'];
  try {
    await run(cluster.binaries.initdb, [...args, ...locale], spawnOptions(cluster, dir));
  } catch (cause) {
    const output = (cause as { stderr?: string }).stderr?.trim() || String(cause);
    throw new Error(`The embedded PostgreSQL could not create its database in ${cluster.dir}: ${output}`, { cause });
  }
}

async function publish(cluster: Cluster, fresh: string): Promise<void> {
  try {
    await rename(fresh, cluster.dir);
  } catch (cause) {
    // A service started at the same moment was faster; its cluster has the same password.
    if (await isInitialised(cluster.dir)) return;
    throw new Error(`${cluster.dir} exists but holds no PostgreSQL cluster; move it away`, { cause });
  }
  await flush(cluster.dataDir);
}

/** Makes the new name survive a power failure, as PostgreSQL does for what is inside. Windows cannot open folders. */
async function flush(folder: string): Promise<void> {
  if (process.platform === 'win32') return;
  await using handle = await open(folder);
  await handle.sync();
}

async function removeInterrupted(dataDir: string): Promise<void> {
  for (const name of await readdir(dataDir)) {
    const path = join(dataDir, name);
    if (name.startsWith(temporaryPrefix) && isAbandoned(path, Number.parseInt(name.slice(temporaryPrefix.length), 10))) {
      await rm(path, { recursive: true, force: true, maxRetries: 3 });
    }
  }
}

/** A process id of our own may be from before: in a container the service often gets the same one again. */
function isAbandoned(workshop: string, owner: number): boolean {
  return owner === process.pid ? !ownWorkshops.has(workshop) : !isAlive(owner);
}

export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
