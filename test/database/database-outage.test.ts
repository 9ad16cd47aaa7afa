import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { ENTITIES } from '../../src/app/orm.ts';
import { startEmbeddedPostgres } from '../../src/database/embedded/embedded-postgres.ts';
import { migrateUp } from '../../src/database/migrate.ts';
import type { User } from '../../src/gen/identity/v1/user.ts';
import { atOnce, logIn, newEmail, PASSWORD, register, required, signedIn } from '../support/builders.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { expectStatus, failureOf } from '../support/expect-status.ts';
import { connectHealth, type HealthClient } from '../support/health.ts';
import { startService, type TestService } from '../support/service.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';

/** What the contract promises is 2 seconds; the rest is for a busy machine. */
const ANSWER_WITHIN_MS = 2500;

let database: TestDatabase;
let proxy: TcpProxy;
let service: TestService;
let health: HealthClient;
let user: User;
let accessToken: string;

beforeAll(async () => {
  database = await createDatabase();
  proxy = await startTcpProxy(database.url);
  service = await startService({ DATABASE_POOL_MAX: '5', LOCKOUT_MAX_ATTEMPTS: '1000' }, { ...database, url: proxy.url });
  health = connectHealth(service.address);
  user = await register(service);
  accessToken = (await logIn(service, user.email)).accessToken;
});

afterAll(async () => {
  health.close();
  await service.stop();
  await proxy.close();
  await database.drop();
});

/** The service has to come back by itself. */
afterEach(async () => {
  await vi.waitFor(async () => expect(await health.check()).toBe('SERVING'), { timeout: 20_000 });
  const { tokens } = await service.auth.login({ email: user.email, password: PASSWORD });
  expect(await service.auth.introspectToken({ accessToken: tokens?.accessToken ?? '' })).toMatchObject({ active: true });
  await register(service);
});

/** One call of each kind: a read, a transaction, one that hashes, one that lists. */
const CALLS: readonly ((service: TestService) => Promise<unknown>)[] = [
  ({ users }) => users.getUser({ userId: user.id }),
  ({ users }) => users.updateUser({ user: { id: user.id, profile: { firstName: 'Ada' } } }),
  ({ auth }) => auth.register({ email: newEmail(), password: PASSWORD }),
  ({ auth }) => auth.login({ email: user.email, password: PASSWORD }),
  ({ users }) => users.listUsers({}),
  ({ sessions }) => sessions.revokeAllSessions({ userId: user.id }),
];

const callOf = (index: number) => required(CALLS[index % CALLS.length])(service);

async function expectUnavailable(call: Promise<unknown>): Promise<void> {
  const begin = performance.now();
  const failure = await expectStatus(call, 'UNAVAILABLE', 'DATABASE_UNAVAILABLE');
  expect(failure).toMatchObject({ message: 'the database does not answer', retryAfterSeconds: 1 });
  expect(performance.now() - begin).toBeLessThan(ANSWER_WITHIN_MS);
}

async function allUnavailable(count: number): Promise<void> {
  const outcomes = await atOnce(count, (index) => expectUnavailable(callOf(index)));
  expect(outcomes.filter(({ status }) => status === 'rejected')).toEqual([]);
}

describe('while the database is away', () => {
  it.each([
    ['refuses connections', () => proxy.refuse()],
    ['hangs', () => proxy.freeze()],
  ])('and %s, every call answers UNAVAILABLE in time, alone or with many, and health says so', async (_, takeAway) => {
    const watch = health.watch();
    await expect.poll(() => watch.seen).toEqual(['SERVING']);
    await takeAway();
    try {
      await allUnavailable(CALLS.length);
      await expect.poll(() => health.check()).toBe('NOT_SERVING');
      await allUnavailable(60);
    } finally {
      await proxy.restore();
    }
    await expect.poll(() => watch.seen).toEqual(['SERVING', 'NOT_SERVING', 'SERVING']);
    watch.cancel();
  });

  it.each<[string, () => Promise<unknown>]>([
    ['GetUser', () => service.users.getUser({ userId: user.id })],
    ['IntrospectToken', () => service.auth.introspectToken({ accessToken })],
  ])('%s answers UNAVAILABLE in time also where others wait for the database already', async (_, call) => {
    proxy.freeze();
    try {
      const calls = atOnce(10, async (index) => {
        await setTimeout(index * 50);
        await expectUnavailable(call());
      });
      expect((await calls).filter(({ status }) => status === 'rejected')).toEqual([]);
    } finally {
      await proxy.restore();
    }
  });

  it('calls end at their own deadline where that is earlier', async () => {
    proxy.freeze();
    try {
      expect(await failureOf(service.users.getUser({ userId: user.id }, { timeout: 200 }))).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    } finally {
      await proxy.restore();
    }
  });
});

describe('when the database comes back', () => {
  it('connections that stay silent for ever are not used again', async () => {
    await atOnce(20, () => service.users.getUser({ userId: user.id }));
    proxy.freeze();
    await atOnce(5, () => expectUnavailable(service.users.getUser({ userId: user.id })));
    proxy.replace();
    const outcomes = async () => (await atOnce(20, () => service.users.getUser({ userId: user.id }))).map(({ status }) => status);
    await expect.poll(async () => new Set(await outcomes())).toEqual(new Set(['fulfilled']));
  });

  it('on the same address, with another server behind it', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'identity-outage-'));
    const first = await startEmbeddedPostgres(folder);
    await migrateUp(first.url, ENTITIES);
    const ownProxy = await startTcpProxy(first.url);
    const own = await startService({}, { ...database, url: ownProxy.url });
    try {
      const { user, tokens } = await signedIn(own);
      await first.stop();
      await expectUnavailable(own.users.getUser({ userId: user.id }));
      const second = await startEmbeddedPostgres(folder);
      try {
        ownProxy.redirect(second.url);
        await vi.waitFor(() => own.users.getUser({ userId: user.id }), { timeout: 20_000 });
        expect(await own.auth.introspectToken({ accessToken: tokens.accessToken })).toMatchObject({ active: true });
      } finally {
        await own.stop();
        await second.stop();
      }
    } finally {
      await ownProxy.close();
      await rm(folder, { recursive: true, force: true });
    }
  });
});

describe('under load', () => {
  /** Calls of every kind, again and again, until told to stop; how they ended. */
  function load(): { stop(): Promise<Set<string>> } {
    let going = true;
    const ends = new Set<string>();
    const worker = async (index: number) => {
      for (let turn = index; going; turn++) {
        const call = callOf(turn);
        const failed = await call.then(
          () => undefined,
          () => failureOf(call),
        );
        ends.add(failed ? `${failed.code} ${failed.reason}` : 'OK');
      }
    };
    const workers = Promise.all(Array.from({ length: 8 }, (_, index) => worker(index)));
    return {
      async stop() {
        going = false;
        await workers;
        return ends;
      },
    };
  }

  const ALLOWED = ['OK', 'UNAVAILABLE DATABASE_UNAVAILABLE'];

  it.each([
    [
      'a backend is terminated',
      () =>
        database.pool.query(
          `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'identity' and datname = current_database()`,
        ),
    ],
    ['connections are reset', () => proxy.cut()],
  ])('%s: calls succeed or are UNAVAILABLE', async (_, strike) => {
    const running = load();
    for (let times = 0; times < 5; times++) {
      await strike();
      await service.users.getUser({ userId: user.id }).catch(() => undefined);
      await atOnce(3, () => service.auth.login({ email: user.email, password: PASSWORD }));
    }
    const ends = await running.stop();
    expect([...ends].filter((end) => !ALLOWED.includes(end))).toEqual([]);
    expect(ends).toContain('OK');
    expect(ends).toContain('UNAVAILABLE DATABASE_UNAVAILABLE');
  });

  it('cancelled calls whose database goes away in the same moment end nobody else', async () => {
    for (let times = 0; times < 5; times++) {
      const calls = atOnce(10, () => service.users.updateUser({ user: { id: user.id, profile: { firstName: 'Ada' } } }, { timeout: 20 }));
      if (times % 2 === 0) proxy.cut();
      await calls;
      proxy.cut();
    }
  });
});
