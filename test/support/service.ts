import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { createServiceAccountKey } from '../../src/access/first-key.ts';
import { type App, createApp } from '../../src/app/app.ts';
import type { Overrides } from '../../src/app/resources.ts';
import { loadConfig } from '../../src/config.ts';
import { type Clients, connect } from './client.ts';
import { createDatabase, type TestDatabase } from './database.ts';

export const SECRET_KEY = 'a secret key that only tests use, 32+ bytes';

/** The service's clock: real time, plus what a test adds to it. */
export class Clock {
  #offset = 0;

  readonly now = (): Date => new Date(Date.now() + this.#offset);

  advance(seconds: number): void {
    this.#offset += seconds * 1000;
  }
}

/** A running service on a database of its own, and clients of it. */
export interface TestService extends Clients {
  readonly app: App;
  readonly address: string;
  /** With it the clients call where a test gives no other token. */
  readonly adminKey: string;
  readonly clock: Clock;
  readonly database: TestDatabase;
  /** Where mails go without a mail server. */
  readonly dataDir: string;
  stop(): Promise<void>;
}

/** The cheapest hash there is: the tests are about everything around it. */
export const TEST_SETTINGS = {
  BCRYPT_COST: '4',
  LOG_LEVEL: 'silent',
  GRPC_PORT: '0',
  JWT_SECRET_KEY: SECRET_KEY,
  // Tests of the lockout guess hundreds of times from one address, others ask as one user until something is so; the limits have tests of
  // their own.
  RATE_LIMIT_PER_ADDRESS: '0',
  RATE_LIMIT_PER_USER: '0',
};

/** Starts a service; `shared` lets several use one database, `clock` one clock. */
export async function startService(
  env: Record<string, string> = {},
  shared?: TestDatabase,
  connections: Overrides['connections'] = {},
  clock = new Clock(),
): Promise<TestService> {
  const database = shared ?? (await createDatabase());
  const dataDir = await mkdtemp(path.join(tmpdir(), 'identity-test-'));
  const config = loadConfig({ ...TEST_SETTINGS, DATABASE_URL: database.url, DATA_DIR: dataDir, ...env });
  const connection = { databaseUrl: database.url, secretKey: env.JWT_SECRET_KEY ?? SECRET_KEY };
  // Most tests wait for their mail, and nobody else's is about to follow.
  const app = await createApp(config, connection, { now: clock.now, connections, mailGatherMs: 0 });
  const address = `127.0.0.1:${app.port}`;
  const adminKey = await createServiceAccountKey(app.orm.em, 'test-admin', ['admin']);
  const clients = connect(address, adminKey);
  const stop = async () => {
    clients.close();
    await app.close();
    if (!shared) await database.drop();
    await rm(dataDir, { recursive: true, force: true });
  };
  return { ...clients, app, address, adminKey, clock, database, dataDir, stop };
}

/** A service for all tests of a file; to be called at its top level. */
export function useService(env: Record<string, string> | (() => Record<string, string>) = {}): TestService {
  const service = {} as TestService;
  beforeAll(async () => void Object.assign(service, await startService(typeof env === 'function' ? env() : env)));
  afterAll(() => service.stop());
  return service;
}

/** Two services on one database, for all tests of a file; to be called at its top level. */
export function useReplicas(): { readonly database: TestDatabase; readonly here: TestService; readonly there: TestService } {
  const replicas = { database: {} as TestDatabase, here: {} as TestService, there: {} as TestService };
  beforeAll(async () => {
    const database = Object.assign(replicas.database, await createDatabase());
    Object.assign(replicas.here, await startService({}, database));
    Object.assign(replicas.there, await startService({}, database));
  });
  afterAll(async () => {
    await Promise.all([replicas.here.stop?.(), replicas.there.stop?.()]);
    await replicas.database.drop?.();
  });
  return replicas;
}
