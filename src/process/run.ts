import cluster from 'node:cluster';
import { Console } from 'node:console';
import { once } from 'node:events';
import { Writable } from 'node:stream';
import type { Connection } from '../app/resources.ts';
import { type Config, loadConfig, unknownVariables } from '../config.ts';
import { type Database, openDatabase } from '../database/database.ts';
import { createLog } from '../observability/log.ts';
import { keptSecret } from '../secrets/kept-secret.ts';
import { explain } from './explain-start-error.ts';
import { banner } from './greeting.ts';
import type { Ending, Environment, Started } from './lifecycle.ts';

/** Serves until the end, and then ends in order what has begun, even if that is half a start; the exit code. `.env` adds to the environment. */
export async function run(ending: Ending, env: Environment): Promise<number> {
  silenceConsole();
  // Code that only some of the processes need is loaded by those: a primary is small.
  if (cluster.isWorker) return (await import('./cluster/worker.ts')).runWorker(ending, env);
  try {
    loadEnvFile();
    await serve(ending.signal, env);
    return 0;
  } catch (error) {
    process.stderr.write(`${explain(error)}\n`);
    return 1;
  }
}

async function serve(end: AbortSignal, env: Environment): Promise<void> {
  await using begun = new AsyncDisposableStack();
  let started: Started | undefined;
  try {
    started = await start(begun, end, env);
  } catch (error) {
    // A failure after the end was asked for is no news: a Ctrl-C, for one, also reaches PostgreSQL's initdb.
    if (!end.aborted) throw error;
  }
  if (!end.aborted) await Promise.race([once(end, 'abort'), started?.failure ?? new Promise(() => undefined)]);
}

async function start(begun: AsyncDisposableStack, end: AbortSignal, env: Environment): Promise<Started | undefined> {
  if (end.aborted) return;
  const config = loadConfig(env);
  const log = createLog(config.logLevel);
  for (const { name, nearest } of unknownVariables(env)) log.warn(`${name} is no setting of this service: it is ignored`, { nearest });
  const database = begun.adopt(await openDatabase(config.database.url?.reveal(), config.dataDir), (it) => it.close());
  if (end.aborted) return;
  const connection = await prepare(config, database);
  const startHere =
    config.workers > 1 ? (await import('./cluster/primary.ts')).startPrimary : (await import('./single-process.ts')).startAlone;
  const started = await startHere(begun, config, connection, database.embedded?.dataDir);
  if (end.aborted) return;
  const { port, firstKey } = started;
  const { host, tls, reflection } = config.grpc;
  const terminal = process.stdout.isTTY === true;
  process.stdout.write(banner({ host, port, tls: tls !== undefined, reflection, dataDir: database.embedded?.dataDir, firstKey, terminal }));
  return started;
}

async function prepare(config: Config, { url, embedded }: Database): Promise<Connection> {
  if (embedded) {
    const [{ migrateUp }, { ENTITIES }] = await Promise.all([import('../database/migrate.ts'), import('../app/orm.ts')]);
    await migrateUp(url, ENTITIES);
  }
  const secretKey = config.jwt.secretKey?.reveal() ?? (await keptSecret(config.dataDir, 'jwt.key'));
  return { databaseUrl: url, secretKey };
}

/** Nothing of ours writes to the console. Libraries do, e.g. what became of a cancelled query: past the log and all that it leaves out. */
function silenceConsole(): void {
  globalThis.console = new Console(new Writable({ write: (_chunk, _encoding, done) => done() }));
}

function loadEnvFile(): void {
  try {
    process.loadEnvFile('.env');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}
