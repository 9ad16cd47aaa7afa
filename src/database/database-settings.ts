import { z } from 'zod';
import { Secret } from '../secrets/secret.ts';
import { flag, integer, type ValuesOf, wholeNumber } from '../settings/variables.ts';

export const databaseVariables = {
  DATABASE_URL: z
    .string()
    .regex(/^postgres(ql)?:\/\//, 'must begin with postgresql://')
    .transform((url) => new Secret(url))
    .optional(),
  /** So that no embedded database is made by accident. */
  REQUIRE_DATABASE_URL: flag,
  DATABASE_POOL_MIN: integer(5, 0, 1000),
  DATABASE_POOL_MAX: wholeNumber(1, 1000).optional(),
  /** The folder of the embedded PostgreSQL, of secrets that the service makes for itself, and of mails without SMTP. */
  DATA_DIR: z.string().default('.data'),
};

type DatabaseValues = ValuesOf<typeof databaseVariables>;

export interface DatabaseSettings {
  /** Absent: the embedded PostgreSQL under DATA_DIR. */
  readonly url: Secret | undefined;
  /** For all workers together: a database counts what it can spare by services, not by processes. */
  readonly poolMin: number;
  readonly poolMax: number;
}

export function databaseSettings(env: DatabaseValues, workers: number): DatabaseSettings {
  return { url: env.DATABASE_URL, poolMin: env.DATABASE_POOL_MIN, poolMax: poolMaxOf(env, workers) };
}

/**
 * Unless it is set, as many connections as one process has use for; with more workers than two, so many for each, but
 * not all that a PostgreSQL offers as it comes.
 */
export function poolMaxOf({ DATABASE_POOL_MAX }: Pick<DatabaseValues, 'DATABASE_POOL_MAX'>, workers: number): number {
  return DATABASE_POOL_MAX ?? Math.min(Math.max(10, workers * 5), 80);
}
