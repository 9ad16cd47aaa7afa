import { StartError } from '../settings/start-error.ts';
import type { Orm } from './orm.ts';

/** Repeats for the one who has set DATABASE_URL what PostgreSQL, or the way to it, has said. */
export class DatabaseUnusableError extends StartError {
  override readonly name = 'DatabaseUnusableError';

  constructor(cause: unknown) {
    super(`The database that DATABASE_URL names cannot be used: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

/** Asks the first question, before any other finds out in its own words that nobody answers, or not us. */
export async function requireDatabase(orm: Orm): Promise<void> {
  try {
    await orm.em.fork().execute('select 1');
  } catch (error) {
    throw new DatabaseUnusableError(error);
  }
}
