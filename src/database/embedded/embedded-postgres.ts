import { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { StartError } from '../../settings/start-error.ts';
import { type Cluster, prepareCluster } from './cluster.ts';
import { findPostmaster, type Launch, launch, logTail, type Postmaster, startError, stopPostmaster } from './postmaster.ts';

export interface EmbeddedPostgres {
  /** postgresql://identity:<password>@127.0.0.1:<port>/identity */
  url: string;
  dataDir: string;
  /** The server of a killed service was found running and is used on. */
  reused: boolean;
  stop(): Promise<void>;
}

interface Connected {
  server: Postmaster;
  lock: pg.Client;
  reused: boolean;
}

/** Another service runs on the folder. */
export class InUseError extends StartError {
  override readonly name = 'InUseError';
}

const startLimitMs = 60_000;
// A killed service's connections are gone a moment after it.
const lockLimitMs = 2_000;
const pollMs = 10;
const retryMs = 200;
const lockKey = 7_233_173_015;

/**
 * Runs a real PostgreSQL for development, with its data in `<dataDir>/postgres`. It outlives a service that is killed;
 * the next start on the folder takes it over.
 */
export async function startEmbeddedPostgres(dataDir: string): Promise<EmbeddedPostgres> {
  const cluster = await prepareCluster(dataDir);
  const { server, lock, reused } = await connect(cluster);
  const url = urlOf(cluster, server);
  let stopping: Promise<void> | undefined;
  const stop = () => {
    stopping ??= shutDown(cluster, server, lock);
    return stopping;
  };
  return { url, dataDir: cluster.dataDir, reused, stop };
}

/**
 * Finds the server that another service runs on the folder: for a command beside that service, which may use it but
 * must neither lock nor stop it. Undefined where none runs.
 */
export async function findEmbeddedPostgres(dataDir: string): Promise<string | undefined> {
  const cluster = await prepareCluster(dataDir);
  const server = await findPostmaster(cluster);
  return server?.ready ? urlOf(cluster, server) : undefined;
}

function urlOf({ password }: Cluster, { port }: Postmaster): string {
  return `postgresql://identity:${password}@127.0.0.1:${port}/identity`;
}

/** The lock is held until the server is gone, so that no other service can join a server that is about to stop. */
async function shutDown(cluster: Cluster, server: Postmaster, lock: pg.Client): Promise<void> {
  try {
    await stopPostmaster(cluster, server);
  } finally {
    close(lock);
  }
}

async function connect(cluster: Cluster): Promise<Connected> {
  const launched: { last?: Launch } = {};
  try {
    return await findOrLaunch(cluster, launched);
  } catch (error) {
    // The holder of the lock uses this server, even if we have started it.
    if (!(error instanceof InUseError)) await withdraw(cluster, launched.last).catch(() => {});
    throw error;
  }
}

/** Looks, acts and looks again, because other services, dying servers and strangers on our port all move meanwhile. */
async function findOrLaunch(cluster: Cluster, launched: { last?: Launch }): Promise<Connected> {
  const deadline = Date.now() + startLimitMs;
  while (Date.now() < deadline) {
    const server = await findPostmaster(cluster);
    const lock = server?.ready ? await takeOver(cluster, server) : undefined;
    if (server && lock) return { server, lock, reused: server.pid !== launched.last?.pid };
    if (!server) await launchIfIdle(cluster, launched);
    await sleep(pollMs);
  }
  throw startError(cluster, `it was not ready after ${startLimitMs / 1000} seconds`, await logTail(cluster));
}

async function launchIfIdle(cluster: Cluster, launched: { last?: Launch }): Promise<void> {
  if (launched.last && !launched.last.failure) return;
  if (launched.last?.failure) {
    if (!launched.last.failure.retry) throw launched.last.failure.error;
    await sleep(retryMs);
  }
  launched.last = await launch(cluster);
}

async function withdraw(cluster: Cluster, last: Launch | undefined): Promise<void> {
  const server = await findPostmaster(cluster);
  if (server && server.pid === last?.pid) await stopPostmaster(cluster, server);
}

/** A connection holding the lock, with the database made sure of; undefined when the server is on its way up or down. */
async function takeOver(cluster: Cluster, server: Postmaster): Promise<pg.Client | undefined> {
  const socket = new Socket();
  const client = lockClient(cluster, server.port, socket);
  try {
    await client.connect();
    if (!(await tryLock(client))) throw new InUseError(`Another identity service is already using ${cluster.dataDir}`);
    await ensureDatabase(client);
    // Holding the lock must not keep a process running that has nothing else to do.
    socket.unref();
    return client;
  } catch (error) {
    close(client);
    if (isPassing(error)) return undefined;
    throw isWrongPassword(error) ? new Error(`The password in ${cluster.passwordFile} is not the one of ${cluster.dir}`) : error;
  }
}

/** Every option is given: pg would take what is missing from PG* variables. */
function lockClient(cluster: Cluster, port: number, socket: Socket): pg.Client {
  const client = new pg.Client({
    stream: () => socket,
    host: '127.0.0.1',
    port,
    user: 'identity',
    password: cluster.password,
    database: 'postgres',
    ssl: false,
    application_name: 'identity-lock',
    connectionTimeoutMillis: 5_000,
  });
  // The server ends this connection when it stops; without a listener that would end the process.
  client.on('error', () => {});
  return client;
}

async function tryLock(client: pg.Client): Promise<boolean> {
  const deadline = Date.now() + lockLimitMs;
  do {
    const { rows } = await client.query<{ locked: boolean }>('select pg_try_advisory_lock($1) as locked', [lockKey]);
    if (rows[0]?.locked) return true;
    await sleep(50);
  } while (Date.now() < deadline);
  return false;
}

async function ensureDatabase(client: pg.Client): Promise<void> {
  const { rowCount } = await client.query(`select from pg_database where datname = 'identity'`);
  if (rowCount === 0) await client.query('create database identity');
}

function close(client: pg.Client): void {
  void client.end().catch(() => {});
}

function sqlState(error: unknown): string {
  return String((error as { code?: unknown }).code ?? '');
}

function isWrongPassword(error: unknown): boolean {
  return sqlState(error) === '28P01';
}

/** 57P0x: starting, recovering or shutting down; 53300: too many connections. A cut connection has an errno or no code at all. */
function isPassing(error: unknown): boolean {
  const cut = sqlState(error) === '' && /^Connection terminated|^timeout/.test((error as Error).message);
  return cut || /^(E[A-Z]+|57P0\d|53300)$/.test(sqlState(error));
}
