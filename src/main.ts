import { Console } from 'node:console';
import { Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
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

/** In which the process must be gone after the first signal. */
const SHUTDOWN_MS = 9500;

/**
 * npm passes a signal on to its child although the terminal has sent it to the whole process group already. Only a later one is a
 * second wish.
 */
const SAME_SIGNAL_MS = 250;

silenceConsole();
loadEnvFile();
run().catch((error: unknown) => {
  process.stderr.write(`${explain(error)}\n`);
  process.exit(1);
});

async function run(): Promise<void> {
  const config = loadConfig(process.env);
  const database = await openDatabase(config.database.url?.reveal(), config.dataDir);
  try {
    const app = await startApp(config, database);
    endOnSignal(app, database);
    const dataDir = database.embedded?.dataDir;
    const firstKey = dataDir === undefined ? undefined : await ensureFirstKey(app.orm.em, dataDir);
    process.stdout.write(banner({ host: config.grpc.host, port: app.port, tls: config.grpc.tls !== undefined, dataDir, firstKey }));
  } catch (error) {
    await database.close();
    throw error;
  }
}

async function startApp(config: Config, database: Database): Promise<App> {
  if (database.embedded) await migrateUp(database.url, ENTITIES);
  const secretKey = config.jwt.secretKey?.reveal() ?? (await keptSecret(config.dataDir, 'jwt.key'));
  return createApp(config, { databaseUrl: database.url, secretKey });
}

/** The first signal ends the service in order; a second one, at once. */
function endOnSignal(app: App, database: Database): void {
  let since: number | undefined;
  const onSignal = () => {
    if (since === undefined) {
      since = Date.now();
      void end(app, database);
    } else if (Date.now() - since > SAME_SIGNAL_MS) {
      process.exit(1);
    }
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
}

async function end(app: App, database: Database): Promise<void> {
  const ended = app.close().then(() => database.close());
  const inTime = await Promise.race([ended.then(() => true), sleep(SHUTDOWN_MS, false)]).catch((error: unknown) => {
    process.stderr.write(`${explain(error)}\n`);
    return false;
  });
  process.exit(inTime ? 0 : 1);
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
function explain(error: unknown): string {
  if (error instanceof ConfigError || error instanceof SchemaBehindError || error instanceof ListenError) return error.message;
  if (!(error instanceof Error)) return String(error);
  const code = (error as NodeJS.ErrnoException).code ?? (error.cause as NodeJS.ErrnoException | undefined)?.code;
  return code === undefined ? (error.stack ?? error.message) : error.message;
}
