import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { createServiceAccountKey } from '../../src/access/first-key.ts';
import { ENTITIES, openServiceOrm } from '../../src/app/orm.ts';
import { startEmbeddedPostgres } from '../../src/database/embedded/embedded-postgres.ts';
import { migrateUp } from '../../src/database/migrate.ts';
import { seed } from './seed.ts';

/** A database with users, and the key of a backend that may call the service on it. */
export interface SeededDatabase {
  readonly url: string;
  readonly users: number;
  readonly apiKey: string;
}

/** The service account that calls. */
export const BACKEND = 'bench';

/** One PostgreSQL for all contestants, each set of data in a database of its own; made when first asked for. */
export interface Postgres {
  readonly folder: string;
  readonly version: string;
  seeded(users: number): Promise<SeededDatabase>;
  /** Without a table. */
  empty(name: string): Promise<string>;
  stop(): Promise<void>;
}

/** Durable, as in production; but no checkpoint falls into one burst and not into another. */
const SETTINGS = [`max_wal_size = '16GB'`, `checkpoint_timeout = '1h'`];

export async function startPostgres(report: (what: string) => void): Promise<Postgres> {
  const folder = await mkdtemp(path.join(tmpdir(), 'identity-bench-'));
  const postgres = await startEmbeddedPostgres(folder);
  const databases = new Map<number, Promise<SeededDatabase>>();
  const version = await withClient(postgres.url, async (admin) => {
    for (const setting of SETTINGS) await admin.query(`alter system set ${setting}`);
    await admin.query('select pg_reload_conf()');
    const { rows } = await admin.query<{ server_version: string }>('show server_version');
    return rows[0]?.server_version ?? '';
  });
  const empty = async (name: string) => {
    await withClient(postgres.url, (admin) => admin.query(`create database ${name}`));
    return withDatabase(postgres.url, name);
  };
  const seeded = (users: number) => {
    let database = databases.get(users);
    if (!database) {
      report(`seeding ${users.toLocaleString('en')} users`);
      database = empty(`users_${users}`).then((url) => fill(url, users));
      databases.set(users, database);
    }
    return database;
  };
  const stop = async () => {
    await postgres.stop();
    await rm(folder, { recursive: true, force: true });
  };
  return { folder, version, seeded, empty, stop };
}

async function fill(url: string, users: number): Promise<SeededDatabase> {
  await migrateUp(url, ENTITIES);
  await withClient(url, async (client) => {
    await seed(client, users);
    await client.query('vacuum analyze');
    await client.query('checkpoint');
  });
  return { url, users, apiKey: await backendKey(url) };
}

/** A key with the role that backends have. */
export async function backendKey(url: string): Promise<string> {
  const orm = await openServiceOrm({ url, patient: true });
  try {
    return await createServiceAccountKey(orm.em, BACKEND, ['service']);
  } finally {
    await orm.close();
  }
}

export async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

function withDatabase(url: string, database: string): string {
  const changed = new URL(url);
  changed.pathname = `/${database}`;
  return changed.href;
}
