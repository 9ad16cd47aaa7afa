import { readdir } from 'node:fs/promises';
import { StartError } from '../settings/start-error.ts';
import { MIGRATIONS_FOLDER, type Orm } from './orm.ts';

/** SQLSTATE 42P01: the table that records the executed migrations is not there yet. */
const UNDEFINED_TABLE = '42P01';

export class SchemaBehindError extends StartError {
  override readonly name = 'SchemaBehindError';

  constructor(pending: readonly string[]) {
    super(`The database schema is behind by ${pending.length} migration(s): ${pending.join(', ')}.\nRun: npm run db:up`);
  }
}

/** Names of the migrations that the database has not seen, oldest first. Reads only, unlike the ORM's own `getPending`. */
export async function pendingMigrations(orm: Orm): Promise<string[]> {
  const executed = new Set(await executedMigrations(orm));
  return (await availableMigrations()).filter((name) => !executed.has(name));
}

/** Refuses to go on with a schema that is behind: migrating somebody's database is for a person to decide. */
export async function requireCurrentSchema(orm: Orm): Promise<void> {
  const pending = await pendingMigrations(orm);
  if (pending.length > 0) throw new SchemaBehindError(pending);
}

async function availableMigrations(): Promise<string[]> {
  const files = await readdir(MIGRATIONS_FOLDER);
  return files
    .filter((file) => /^Migration.*\.ts$/.test(file))
    .map((file) => file.slice(0, -'.ts'.length))
    .sort();
}

/** Oldest first. */
export async function executedMigrations(orm: Orm): Promise<string[]> {
  try {
    const rows = await orm.em.fork().execute<{ name: string }[]>('select name from mikro_orm_migrations order by id');
    return rows.map(({ name }) => name.replace(/\.[jt]s$/, ''));
  } catch (error) {
    if ((error as { code?: string }).code === UNDEFINED_TABLE) return [];
    throw error;
  }
}
