import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createApp } from '../../src/app/app.ts';
import { loadConfig } from '../../src/config.ts';
import { newEmail, PASSWORD } from '../support/builders.ts';
import { type Clients, connect } from '../support/client.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { expectStatus } from '../support/expect-status.ts';
import { SECRET_KEY, TEST_SETTINGS } from '../support/service.ts';

/** The tables of those who may call, and of what they call with. */
const WHO_MAY_CALL = ['users', 'service_accounts', 'api_keys', 'user_roles', 'service_account_roles', 'sessions'];

describe('a new database, with the service running on it', () => {
  let database: TestDatabase;
  let dataDir: string;
  let close: () => Promise<void>;
  let clients: Clients;

  beforeAll(async () => {
    database = await createDatabase();
    dataDir = await mkdtemp(path.join(tmpdir(), 'identity-test-'));
    const config = loadConfig({ ...TEST_SETTINGS, DATABASE_URL: database.url, DATA_DIR: dataDir });
    const app = await createApp(config, { databaseUrl: database.url, secretKey: SECRET_KEY });
    clients = connect(`127.0.0.1:${app.port}`);
    close = () => app.close();
  });

  afterAll(async () => {
    clients?.close();
    await close?.();
    await database?.drop();
    if (dataDir) await rm(dataDir, { recursive: true, force: true });
  });

  it.each(WHO_MAY_CALL)('has nobody in it who may call: %s', async (table) => {
    const { rows } = await database.pool.query(`select * from ${table}`);
    expect(rows).toEqual([]);
  });

  it('lets nobody make the first account over the network', async () => {
    const calls = [
      clients.auth.register({ email: newEmail(), password: PASSWORD }),
      clients.users.createUser({ email: newEmail(), password: PASSWORD }),
      clients.serviceAccounts.createServiceAccount({ name: 'admin', roles: ['admin'] }),
    ];
    for (const call of calls) await expectStatus(call, 'UNAUTHENTICATED', 'CALLER_UNAUTHENTICATED');
  });
});
