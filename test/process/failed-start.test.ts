import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createApp } from '../../src/app/app.ts';
import { loadConfig } from '../../src/config.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { type Listener, listening } from '../support/ports.ts';
import { SECRET_KEY, TEST_SETTINGS } from '../support/service.ts';

let database: TestDatabase;
let squatter: Listener;

beforeAll(async () => {
  database = await createDatabase();
  squatter = await listening();
});

afterAll(async () => {
  squatter.server.close();
  await database.drop();
});

function startOnTakenPort() {
  const { port } = squatter;
  const config = loadConfig({ ...TEST_SETTINGS, DATABASE_URL: database.url, GRPC_PORT: String(port) });
  return createApp(config, { databaseUrl: database.url, secretKey: SECRET_KEY });
}

describe('a service that cannot listen', () => {
  it('rejects, and leaves no timer behind: nobody polls, nobody writes, and a process may end', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'setInterval', 'clearTimeout', 'clearInterval'] });
    try {
      await expect(startOnTakenPort()).rejects.toThrow(/^Cannot listen on 127\.0\.0\.1:\d+: .*in use/);
      // The connections to the database take a moment to part.
      await expect.poll(() => vi.getTimerCount()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });

  it('keeps no connection to the database', async () => {
    await expect(startOnTakenPort()).rejects.toThrow('Cannot listen');
    const connections = async () => {
      const { rowCount } = await database.pool.query(
        `select from pg_stat_activity where datname = current_database() and application_name = 'identity'`,
      );
      return rowCount;
    };
    await expect.poll(connections).toBe(0);
  });
});
