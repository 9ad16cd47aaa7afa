import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { seed } from '../../bench/database/seed.ts';
import { recogniseSessions } from '../../src/auth/introspection/live-session.repository.ts';
import { PreparedStatements } from '../../src/database/prepared.ts';
import { findUserViews } from '../../src/users/user-view.repository.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;

/** With enough rows that a plan for few ids promises less work than one for any number of them. */
beforeAll(async () => {
  database = await createDatabase();
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  await seed(client, 2000);
  await client.query('analyze');
  await client.end();
});

afterAll(() => database.drop());

/** So often PostgreSQL tries what a plan for the very values would be worth. */
const TRIALS = 5;

describe.each([
  ['users.find-views', findUserViews],
  ['callers.find-live-sessions', (db: PreparedStatements, ids: string[]) => recogniseSessions(db, ids, 86_400)],
])('%s', (name, find) => {
  it.each([1, 5, 50])('is not planned anew for each list of %d', async (size) => {
    const connection = new pg.Pool({ connectionString: database.url, max: 1 });
    try {
      for (let time = 0; time < 4 * TRIALS; time++)
        await find(
          new PreparedStatements(connection),
          Array.from({ length: size }, () => randomUUID()),
        );
      const plans = `select custom_plans::int, generic_plans::int from pg_prepared_statements where name = $1`;
      expect((await connection.query(plans, [name])).rows).toEqual([{ custom_plans: TRIALS, generic_plans: 3 * TRIALS }]);
    } finally {
      await connection.end();
    }
  });
});
