import { once } from 'node:events';
import { type AddressInfo, connect as connectTcp, createServer, type Server } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { TLSSocket } from 'node:tls';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PoolConnection } from '../../src/database/pool-connection.ts';
import { Authority, type Certificate } from '../support/certificates.ts';
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

describe('a connection of a pool', () => {
  it('gets the password, which a pool hides in its settings', async () => {
    const { hostname, port, username, password, pathname } = new URL(database.url);
    const settings = { host: hostname, port: Number(port), user: username, database: pathname.slice(1) };
    const pool = new pg.Pool({ ...settings, password, Client: PoolConnection as unknown as new () => pg.ClientBase });
    expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
    await pool.end();
  });
});

/** In front of a PostgreSQL that speaks no TLS: answers SSLRequest with `S`, and passes on what it decrypts. */
function speakTls({ key, cert }: Certificate, target: string): Server {
  return createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => {
      socket.write('S');
      const client = new TLSSocket(socket, { isServer: true, key, cert });
      const upstream = connectTcp(Number(new URL(target).port), '127.0.0.1');
      for (const [from, to] of [
        [client, upstream],
        [upstream, client],
      ] as const) {
        from.on('error', () => undefined).on('close', () => to.destroy());
        from.pipe(to);
      }
    });
  });
}

describe('a connection with TLS', () => {
  const authority = new Authority();
  let server: Server;
  beforeAll(async () => {
    server = speakTls(authority.sign('localhost'), database.url).listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  afterAll(() => {
    server.close();
    authority.dispose();
  });

  it('is given up like any other one when a query is not answered in time', async () => {
    const url = new URL(database.url);
    url.port = String((server.address() as AddressInfo).port);
    connection = new PoolConnection({ connectionString: url.href, ssl: { ca: authority.ca }, query_timeout: PATIENCE_MS });
    await connection.connect();
    expect((await connection.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
    const closed = new Promise<void>((resolve) => connection.once('end', resolve));
    await expect(connection.query('select pg_sleep(10)')).rejects.toThrow('Query read timeout');
    await closed;
  });
});
