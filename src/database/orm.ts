import { fileURLToPath } from 'node:url';
import { Migrator } from '@mikro-orm/migrations';
import { defineConfig, type EntityClass, type EventSubscriber, MikroORM, type Options } from '@mikro-orm/postgresql';
import pg, { type Pool } from 'pg';
import type { Step } from '../observability/tracing/tracer.ts';
import { PoolConnection } from './pool-connection.ts';
import { sessionOptions } from './session-options.ts';
import { tracedConnection } from './traced-statements.ts';

export const MIGRATIONS_FOLDER = fileURLToPath(new URL('../../migrations', import.meta.url));

/** A database that does not answer within this time is down: callers get UNAVAILABLE instead of waiting for ever. */
const PATIENCE_MS = 1500;
/** A query that is not answered within this time is given up, together with its connection. */
const QUERY_MS = PATIENCE_MS + 400;

export interface OrmSettings {
  readonly url: string;
  readonly entities: readonly EntityClass<object>[];
  /** Learn of flushes and commits of every unit of work. */
  readonly subscribers?: readonly EventSubscriber[];
  readonly poolMin?: number;
  readonly poolMax?: number;
  /** Migrations may take long; a service must not. */
  readonly patient?: boolean;
  /** Rewrite the schema snapshot: only `db:create` does, so that running a migration leaves the checkout as it is. */
  readonly writeSnapshot?: boolean;
  /** Does each statement within a span; absent: nobody collects them. */
  readonly trace?: Step | undefined;
}

export type Orm = Awaited<ReturnType<typeof openOrm>>;

/** Discovers the entities; connects only with the first query. */
export function openOrm(settings: OrmSettings) {
  return MikroORM.init(ormOptions(settings));
}

/** The options with which the service talks to PostgreSQL. */
export function ormOptions({
  url,
  entities,
  subscribers = [],
  poolMin = 0,
  poolMax = 4,
  patient = false,
  writeSnapshot = false,
  trace,
}: OrmSettings): Partial<Options> {
  return defineConfig({
    clientUrl: url,
    entities: [...entities],
    subscribers: [...subscribers],
    extensions: [Migrator],
    driverOptions: {
      Client: trace ? tracedConnection(trace) : PoolConnection,
      application_name: 'identity',
      options: sessionOptions(patient ? undefined : QUERY_MS),
      connectionTimeoutMillis: PATIENCE_MS,
      idleTimeoutMillis: 30_000,
      keepAlive: true,
      ...(patient ? {} : { query_timeout: QUERY_MS }),
    },
    pool: { min: poolMin, max: poolMax },
    // A name that does not exist is a mistake in DATABASE_URL, not a wish for a new database.
    ensureDatabase: false,
    // Queries run only on the fork of their call.
    allowGlobalContext: false,
    // The ORM quotes emails and where-values; what is worth logging is logged by rpc/, without them.
    logger: () => undefined,
    discovery: { warnWhenNoEntities: false },
    migrations: {
      path: MIGRATIONS_FOLDER,
      glob: 'Migration*.ts',
      snapshot: writeSnapshot,
      snapshotName: '.snapshot-identity',
      silent: true,
      // Each in a transaction of its own: one for all of them would keep the locks of the first until the last index is built.
      allOrNothing: false,
      fileName: (timestamp, name) => `Migration${timestamp}${name ? `_${name}` : ''}`,
    },
  });
}

/** More connections as those of a pool: as many as given, for what must not wait behind what waits for that pool. */
export function poolBeside(pool: Pool, max: number): Pool {
  // The password is a property that copying does not find.
  const { options } = pool;
  const beside = new pg.Pool({ ...options, password: options.password, min: 0, max });
  // A connection that is lost while nobody uses it is no error: the next question opens another one.
  beside.on('error', () => undefined);
  return beside;
}

/** The pool of pg itself, for a library that brings its own SQL. */
export async function poolOf(orm: Orm): Promise<Pool> {
  return (await orm.em.getConnection().getNativeClient()) as Pool;
}
