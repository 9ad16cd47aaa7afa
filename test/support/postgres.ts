import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import pg from 'pg';
import type { TestProject } from 'vitest/node';
import { ENTITIES } from '../../src/app/orm.ts';
import { startEmbeddedPostgres } from '../../src/database/embedded/embedded-postgres.ts';
import { migrateUp } from '../../src/database/migrate.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** A database of a server of our own; the others are made beside it. */
    postgresUrl: string;
  }
}

/** A migrated database that every test file copies: cheaper than migrating each of them. */
export const TEMPLATE = 'identity_template';

/** One real PostgreSQL for all test files. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = await mkdtemp(path.join(tmpdir(), 'identity-test-'));
  const postgres = await startEmbeddedPostgres(folder);
  const admin = new pg.Client({ connectionString: postgres.url });
  await admin.connect();
  // Nothing here has to survive a power failure.
  await admin.query('alter system set fsync = off');
  await admin.query('alter system set synchronous_commit = off');
  await admin.query('select pg_reload_conf()');
  await admin.query(`create database ${TEMPLATE}`);
  await admin.end();
  await migrateUp(withDatabase(postgres.url, TEMPLATE), ENTITIES);
  project.provide('postgresUrl', postgres.url);
  return async () => {
    await postgres.stop();
    await rm(folder, { recursive: true, force: true });
  };
}

export function withDatabase(url: string, database: string): string {
  const changed = new URL(url);
  changed.pathname = `/${database}`;
  return changed.href;
}
