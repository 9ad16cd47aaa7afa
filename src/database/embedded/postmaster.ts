import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { chown, type FileHandle, open, readFile, rm, stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { type Cluster, clusterArgument, isAlive, spawnOptions } from './cluster.ts';

/** The server process of a cluster, ours or left behind by a killed service. */
export interface Postmaster {
  pid: number;
  port: number;
  ready: boolean;
}

/** A server this process has spawned; `failure` is set once it could not run. */
export interface Launch {
  pid: number | undefined;
  failure?: { retry: boolean; error: Error };
}

const run = promisify(execFile);
const pollMs = 20;
const stopGraceMs = 8_000;
const halfWrittenMs = 3_000;

// Failures that a start can meet because others live on this machine: the port was taken after we had chosen it,
// another service started on this folder, or the backends of a killed server are still on their way out.
const passing = /could not bind|lock file "postmaster\.pid" (already exists|is empty)|pre-existing shared memory block/;

/**
 * The server that postmaster.pid speaks of. PostgreSQL trusts that file when the process id is in use, even by a
 * stranger (after a reboot, say) and refuses to start, so a stale file is removed. That is safe: apart from the
 * file, PostgreSQL recognises a server on the same folder by its shared memory.
 */
export async function findPostmaster(cluster: Cluster): Promise<Postmaster | undefined> {
  const file = join(cluster.dir, 'postmaster.pid');
  const content = await readFile(file, 'utf8').catch(() => undefined);
  if (content === undefined) return undefined;
  const lines = content.split('\n');
  const [pid, port] = [Number(lines[0]), Number(lines[3])];
  const server = { pid, port, ready: lines[7]?.trim() === 'ready' };
  if (!(pid > 0 && port > 0)) return (await isRecent(file)) ? server : forget(file, content);
  if (await isPostmaster(server)) return server;
  return isAlive(pid) ? forget(file, content) : undefined;
}

/** A file just created is still empty; one that stays so is left from a crash. */
async function isRecent(file: string): Promise<boolean> {
  const info = await stat(file).catch(() => undefined);
  return info !== undefined && Date.now() - info.mtimeMs < halfWrittenMs;
}

async function forget(file: string, stale: string): Promise<undefined> {
  if ((await readFile(file, 'utf8').catch(() => undefined)) === stale) await rm(file, { force: true });
}

async function isPostmaster({ pid, port }: Postmaster): Promise<boolean> {
  const command = await commandLine(pid).catch(() => '');
  if (process.platform === 'win32') return command.includes('postgres');
  return command.includes('postgres') && new RegExp(`\\bport=${port}\\b`).test(command);
}

/** Empty for a process that is gone, or that has ended and waits for its parent to notice. */
async function commandLine(pid: number): Promise<string> {
  if (process.platform === 'linux') return (await readFile(`/proc/${pid}/cmdline`, 'utf8')).replaceAll('\0', ' ');
  if (process.platform === 'win32') return (await run('tasklist', ['/NH', '/FI', `PID eq ${pid}`], { windowsHide: true })).stdout;
  return (await run('ps', ['-ww', '-o', 'command=', '-p', String(pid)])).stdout;
}

/**
 * Spawns the server in a session of its own: a Ctrl-C or a signal to the service's process group must not take
 * the database away before the service has drained.
 */
export async function launch(cluster: Cluster): Promise<Launch> {
  const port = await freePort();
  await using log = await openLog(cluster);
  const logStart = (await log.stat()).size;
  const child = spawn(cluster.binaries.postgres, serverArguments(cluster, port), {
    ...spawnOptions(cluster, cluster.dir),
    detached: true,
    stdio: ['ignore', log.fd, log.fd],
  });
  child.unref();
  return watch(cluster, child, logStart);
}

function watch(cluster: Cluster, child: ChildProcess, logStart: number): Launch {
  const started: Launch = { pid: child.pid };
  const fail = async (reason: string) => {
    const log = await logTail(cluster, logStart);
    started.failure = { retry: passing.test(log), error: startError(cluster, reason, log) };
  };
  child.once('error', (error) => void fail(error.message));
  child.once('exit', (code, signal) => void fail(`it ended with ${signal ?? `code ${code}`}`));
  return started;
}

export function startError(cluster: Cluster, reason: string, log: string): Error {
  return new Error(`The embedded PostgreSQL in ${cluster.dir} did not start: ${reason}. Last lines of ${cluster.logFile}:\n${log}`);
}

export async function logTail(cluster: Cluster, start = 0): Promise<string> {
  const content = await readFile(cluster.logFile).catch(() => Buffer.alloc(0));
  return content.subarray(start).toString('utf8').trimEnd().split('\n').slice(-15).join('\n');
}

async function openLog(cluster: Cluster): Promise<FileHandle> {
  const log = await open(cluster.logFile, 'a', 0o600);
  if (cluster.account) await chown(cluster.logFile, cluster.account.uid, cluster.account.gid);
  return log;
}

function serverArguments(cluster: Cluster, port: number): string[] {
  const settings = {
    port,
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    max_connections: 100,
    timezone: 'UTC',
    log_timezone: 'UTC',
    logging_collector: 'off',
    log_checkpoints: 'off',
    // Failed statements are the service's to report; here they would repeat the data they failed on. ("log" ranks above "error".)
    log_min_messages: 'log',
  };
  return ['-D', clusterArgument(cluster.dir), ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])];
}

async function freePort(): Promise<number> {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}

/** Ends all connections and writes a checkpoint; a server that takes too long is made to quit, and recovers at its next start. */
export async function stopPostmaster(cluster: Cluster, server: Postmaster): Promise<void> {
  for (const mode of ['fast', 'immediate'] as const) {
    if (!(await isPostmaster(server))) return;
    await signal(cluster, server, mode);
    if (await isGone(server)) return;
  }
  throw new Error(`The embedded PostgreSQL in ${cluster.dir} (process ${server.pid}) does not stop`);
}

async function signal(cluster: Cluster, { pid }: Postmaster, mode: 'fast' | 'immediate'): Promise<void> {
  if (process.platform === 'win32') {
    await run(cluster.binaries.pgCtl, ['stop', '--no-wait', '-m', mode, '-D', cluster.dir], spawnOptions(cluster, cluster.dir));
  } else if (isAlive(pid)) {
    process.kill(pid, mode === 'fast' ? 'SIGINT' : 'SIGQUIT');
  }
}

async function isGone(server: Postmaster): Promise<boolean> {
  const deadline = Date.now() + stopGraceMs;
  while (Date.now() < deadline) {
    if (!(await isPostmaster(server))) return true;
    await sleep(pollMs);
  }
  return false;
}
