import { Console } from 'node:console';
import { once } from 'node:events';
import { Writable } from 'node:stream';
import { type App, createApp } from './app.ts';
import { banner } from './banner.ts';
import { ensureFirstKey } from './callers/first-key.ts';
import { type Config, ConfigError, loadConfig } from './config.ts';
import { type Database, openDatabase } from './database/database.ts';
import { keptSecret } from './database/kept-secret.ts';
import { migrateUp } from './database/migrate.ts';
import { SchemaBehindError } from './database/migrations.ts';
import { ENTITIES } from './entities.ts';
import { ListenError } from './rpc/server.ts';

type Environment = Parameters<typeof loadConfig>[0];

/** Serves until the end, and then ends in order what has begun, even if that is half a start. `.env` adds to the environment. */
export async function run(end: AbortSignal, env: Environment): Promise<void> {
  silenceConsole();
  loadEnvFile();
  await using begun = new AsyncDisposableStack();
  try {
    await start(begun, end, env);
  } catch (error) {
    // What fails once the end was asked for is no news: a Ctrl-C, for one, also reaches PostgreSQL's initdb.
    if (!end.aborted) throw error;
  }
  if (!end.aborted) await once(end, 'abort');
}

async function start(begun: AsyncDisposableStack, end: AbortSignal, env: Environment): Promise<void> {
  if (end.aborted) return;
  const config = loadConfig(env);
  const database = begun.adopt(await openDatabase(config.database.url?.reveal(), config.dataDir), (it) => it.close());
  if (end.aborted) return;
  const app = begun.adopt(await startApp(config, database), (it) => it.close());
  const dataDir = database.embedded?.dataDir;
  const firstKey = dataDir === undefined ? undefined : await ensureFirstKey(app.orm.em, dataDir);
  if (end.aborted) return;
  process.stdout.write(banner({ host: config.grpc.host, port: app.port, tls: config.grpc.tls !== undefined, dataDir, firstKey }));
}

async function startApp(config: Config, database: Database): Promise<App> {
  if (database.embedded) await migrateUp(database.url, ENTITIES);
  const secretKey = config.jwt.secretKey?.reveal() ?? (await keptSecret(config.dataDir, 'jwt.key'));
  return createApp(config, { databaseUrl: database.url, secretKey });
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

/** What an operator can act on gets a sentence; anything else is a defect and gets its stack. */
export function explain(error: unknown): string {
  if (error instanceof SuppressedError) return `${explain(error.suppressed)}\n${explain(error.error)}`;
  if (error instanceof ConfigError || error instanceof SchemaBehindError || error instanceof ListenError) return error.message;
  if (!(error instanceof Error)) return String(error);
  const code = (error as NodeJS.ErrnoException).code ?? (error.cause as NodeJS.ErrnoException | undefined)?.code;
  return code === undefined ? (error.stack ?? error.message) : error.message;
}
