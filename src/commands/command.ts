import { openServiceOrm } from '../app/orm.ts';
import { loadConfig } from '../config.ts';
import { type Database, openDatabase, openDatabaseBeside } from '../database/database.ts';
import type { Orm } from '../database/orm.ts';
import { requireDatabase } from '../database/require-database.ts';
import { addressAt } from '../rpc/peer.ts';

/** Runs one of the commands of `npm run`: `.env` is read where present; a failure is one line and exit code 1. */
export function runCommand(run: (args: string[]) => Promise<void>): void {
  try {
    process.loadEnvFile('.env');
  } catch {
    // There is none: the environment has it all.
  }
  run(process.argv.slice(2)).catch((error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  });
}

export interface CommandDatabase {
  readonly writeSnapshot?: boolean;
  /** Tells whether the command may work while a service runs on the embedded database. */
  readonly besideService?: boolean;
}

/** The settings of the service decide which database is meant; of them, only those of the database need to be right. */
export async function withDatabase<T>(
  work: (orm: Orm) => Promise<T>,
  { writeSnapshot = false, besideService = false }: CommandDatabase = {},
): Promise<T> {
  const { DATABASE_URL, DATA_DIR, REQUIRE_DATABASE_URL } = process.env;
  const config = loadConfig({ DATABASE_URL, DATA_DIR, REQUIRE_DATABASE_URL, JWT_SECRET_KEY: 'not used here, where nothing is signed' });
  const open = besideService ? openDatabaseBeside : openDatabase;
  const database = await open(config.database.url?.reveal(), config.dataDir);
  const orm = await openServiceOrm({ url: database.url, patient: true, writeSnapshot });
  try {
    await requireDatabase(orm);
    process.stderr.write(`database: ${placeOf(database)}\n`);
    return await work(orm);
  } finally {
    await orm.close();
    await database.close();
  }
}

/** The database that is meant, as an operator knows it; without the password. */
function placeOf({ url, embedded }: Pick<Database, 'url' | 'embedded'>): string {
  if (embedded) return `embedded PostgreSQL in ${embedded.dataDir}`;
  if (!URL.canParse(url)) return 'PostgreSQL at DATABASE_URL';
  const { hostname, port, pathname } = new URL(url);
  return `${pathname.slice(1)} at ${addressAt(hostname, port || 5432)}`;
}
