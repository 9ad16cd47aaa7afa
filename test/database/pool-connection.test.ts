import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PoolConnection } from '../../src/database/pool-connection.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';

const PATIENCE_MS = 200;

let database: TestDatabase;
let connection: PoolConnection;

beforeAll(async () => {
  database = await createDatabase({ migrated: false });
});

afterAll(() => database.drop());

async function connect(): Promise<PoolConnection> {
  connection = new PoolConnection({ connectionString: database.url, query_timeout: PATIENCE_MS });
  await connection.connect();
  return connection;
}

/** What a query is answered with, in each of the ways in which one can be asked. */
const WAYS: readonly [string, (sql: string) => Promise<unknown>][] = [
  ['with a promise', (sql) => connection.query(sql)],
  [
    'with a callback',
    (sql) => new Promise((resolve, reject) => connection.query(sql, (error, result) => (error ? reject(error) : resolve(result)))),
  ],
  ['as an object that tells by itself', async (sql) => once(connection.query(new pg.Query(sql)) as unknown as NodeJS.EventEmitter, 'end')],
];

describe.each(WAYS)('a query that is asked %s', (_, ask) => {
  it('leaves its connection alone once it was answered', async () => {
    const { query } = await connect();
    await ask('select 1');
    // Past the time in which it had to be answered.
    await sleep(2 * PATIENCE_MS);
    expect((await query('select 2 as two')).rows).toEqual([{ two: 2 }]);
    await connection.end();
  });
});

describe.each(WAYS.slice(0, 2))('a query that is asked %s', (_, ask) => {
  it('fails when it is not answered in time, and takes its connection with it', async () => {
    await connect();
    const closed = new Promise<void>((resolve) => connection.once('end', resolve));
    await expect(ask('select pg_sleep(10)')).rejects.toThrow('Query read timeout');
    await closed;
  });
});
