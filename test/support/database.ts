import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { inject } from 'vitest';
import { TEMPLATE, withDatabase } from './postgres.ts';

/** A database of its own, empty but for the schema (`migrated`) or altogether. */
export interface TestDatabase {
  readonly url: string;
  /** For looking behind the API, and for arranging what no call can. */
  readonly pool: pg.Pool;
  drop(): Promise<void>;
}

export async function createDatabase({ migrated = true } = {}): Promise<TestDatabase> {
  const name = `test_${randomUUID().replaceAll('-', '')}`;
  await asAdmin(`create database ${name}${migrated ? ` template ${TEMPLATE}` : ''}`);
  const url = withDatabase(inject('postgresUrl'), name);
  const pool = new pg.Pool({ connectionString: url, max: 3 });
  pool.on('error', () => undefined);
  // The pool does not listen to those that are about to end any more, and `drop` may be quicker.
  pool.on('connect', (client) => client.on('error', () => undefined));
  return {
    url,
    pool,
    async drop() {
      await pool.end();
      await asAdmin(`drop database ${name} with (force)`);
    },
  };
}

export async function asAdmin(sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: inject('postgresUrl') });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}
