import { afterAll, beforeAll } from 'vitest';
import { type App, createApp } from '../../src/app.ts';
import { createServiceAccountKey } from '../../src/callers/first-key.ts';
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
  stop(): Promise<void>;
}

/** The cheapest hash there is: the tests are about everything around it. */
const TEST_SETTINGS = {
  BCRYPT_COST: '4',
  LOG_LEVEL: 'silent',
  GRPC_PORT: '0',
  JWT_SECRET_KEY: SECRET_KEY,
  // Tests of the lockout guess hundreds of times from one address; the limits have tests of their own.
  RATE_LIMIT_PER_ADDRESS: '0',
};

/** Starts a service; `database` lets several share one. */
export async function startService(env: Record<string, string> = {}, shared?: TestDatabase): Promise<TestService> {
  const database = shared ?? (await createDatabase());
  const clock = new Clock();
  const config = loadConfig({ ...TEST_SETTINGS, DATABASE_URL: database.url, ...env });
  const app = await createApp(config, { databaseUrl: database.url, secretKey: SECRET_KEY }, { now: clock.now });
  const address = `127.0.0.1:${app.port}`;
  const adminKey = await createServiceAccountKey(app.orm.em, 'test-admin', ['admin']);
  const clients = connect(address, adminKey);
  const stop = async () => {
    clients.close();
    await app.close();
    if (!shared) await database.drop();
  };
  return { ...clients, app, address, adminKey, clock, database, stop };
}

/** A service for all tests of a file; to be called at its top level. */
export function useService(env: Record<string, string> = {}): TestService {
  const service = {} as TestService;
  beforeAll(async () => void Object.assign(service, await startService(env)));
  afterAll(() => service.stop());
  return service;
}
