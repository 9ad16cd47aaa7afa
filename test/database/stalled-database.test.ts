import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { User } from '../../src/gen/identity/v1/user.ts';
import { atOnce, register } from '../support/builders.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { holdUser, untilBlocked } from '../support/locks.ts';
import { startService, type TestService } from '../support/service.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';

const POOL = 5;
/** A connection is given up after 1.9 s; the server's part of it ends 0.1 s later, and may be seen until then beside its successor. */
const PROCESSES = POOL * 2;
const HEALED_WITHIN_MS = 5000;

let database: TestDatabase;
let proxy: TcpProxy;
let service: TestService;
let user: User;

beforeAll(async () => {
  database = await createDatabase();
  proxy = await startTcpProxy(database.url);
  service = await startService({ DATABASE_POOL_MAX: String(POOL) }, { ...database, url: proxy.url });
  user = await register(service);
});

afterAll(async () => {
  await service.stop();
  await proxy.close();
  await database.drop();
});

const rename = () => service.users.updateUser({ user: { id: user.id, profile: { firstName: 'Ada' } } });

async function serverProcesses(): Promise<number> {
  const { rows } = await database.pool.query(
    `select count(*)::int as count from pg_stat_activity where application_name = 'identity' and datname = current_database()`,
  );
  return rows[0]?.count;
}

/** Calls that go on while the database stalls; returns the most server processes that were seen meanwhile. */
async function callFor(ms: number): Promise<number> {
  const until = performance.now() + ms;
  let most = 0;
  const callers = atOnce(12, async () => {
    while (performance.now() < until) await rename().catch(() => undefined);
  });
  while (performance.now() < until) most = Math.max(most, await serverProcesses());
  await callers;
  return most;
}

/** Cuts the network while a process of the server holds the user's row, and waits for a statement that never comes. */
async function cutWithinATransaction(): Promise<void> {
  const held = await holdUser(service, user.id);
  const waiting = rename().catch(() => undefined);
  await untilBlocked(service, 1);
  proxy.lose();
  await held.release();
  await waiting;
}

async function expectHealed(): Promise<void> {
  const begin = performance.now();
  await vi.waitFor(rename, { timeout: 20_000 });
  expect(performance.now() - begin).toBeLessThan(HEALED_WITHIN_MS);
  expect(await serverProcesses()).toBeLessThanOrEqual(PROCESSES);
}

describe('a fault that leaves server processes behind', () => {
  it('a row that somebody holds: no more processes than the pool and those about to end, and it heals at once', async () => {
    const held = await holdUser(service, user.id);
    try {
      expect(await callFor(5500)).toBeLessThanOrEqual(PROCESSES);
    } finally {
      await held.release();
    }
    await expectHealed();
  });

  it('a network that is cut without a word: what the lost processes hold is free soon', async () => {
    await cutWithinATransaction();
    await callFor(2500);
    proxy.replace();
    await expectHealed();
  });
});
