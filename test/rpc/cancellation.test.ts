import type { PoolClient } from 'pg';
import { describe, expect, it, vi } from 'vitest';
import type { User } from '../../src/gen/identity/v1/user.ts';
import { atOnce, register, required } from '../support/builders.ts';
import { expectStatus, failureOf } from '../support/expect-status.ts';
import { startService, useService } from '../support/service.ts';

const POOL = 2;
const service = useService({ DATABASE_POOL_MIN: '0', DATABASE_POOL_MAX: String(POOL) });

/** Holds the row of a user as long as `work` takes, so that every call that wants to change it waits. */
async function whileLocked(user: User, work: (holder: PoolClient) => Promise<void>): Promise<void> {
  const holder = await service.database.pool.connect();
  try {
    await holder.query('begin');
    await holder.query('select from users where id = $1 for update', [user.id]);
    await work(holder);
  } finally {
    await holder.query('rollback');
    holder.release();
  }
}

/** How many statements of the service wait for a lock. */
async function waiting(holder: PoolClient): Promise<number> {
  const { rows } = await holder.query<{ count: number }>(
    `select count(*)::int from pg_stat_activity
     where datname = current_database() and application_name = 'identity' and wait_event_type = 'Lock'`,
  );
  return required(rows[0]).count;
}

const SOON = { timeout: 20_000 };

const rename = (user: User, settings: { timeout?: number; signal?: AbortSignal }) =>
  service.users.updateUser({ user: { id: user.id, profile: { firstName: 'Changed' } } }, settings);

async function expectUnchanged(user: User): Promise<void> {
  const found = await service.users.getUser({ userId: user.id });
  expect(found.user?.profile?.firstName).toBe('');
  expect(found.user?.etag).toBe(user.etag);
  const { rows } = await service.database.pool.query(
    `select type from audit_events where user_id = $1 and type <> 'user.email_verification_requested'`,
    [user.id],
  );
  expect(rows).toEqual([{ type: 'user.created' }]);
}

describe('a call that waits for a lock', () => {
  it('stops its SQL when its deadline passes, while the lock is still held', async () => {
    const user = await register(service);
    await whileLocked(user, async (holder) => {
      const call = failureOf(rename(user, { timeout: 1500 }));
      await expect.poll(() => waiting(holder)).toBe(1);
      expect(await call).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
      await expect.poll(() => waiting(holder)).toBe(0);
    });
    await expectUnchanged(user);
  });

  it('stops its SQL when the caller cancels, while the lock is still held', async () => {
    const user = await register(service);
    await whileLocked(user, async (holder) => {
      const cancel = new AbortController();
      const call = failureOf(rename(user, { signal: cancel.signal }));
      await expect.poll(() => waiting(holder)).toBe(1);
      cancel.abort();
      expect(await call).toMatchObject({ code: 'CANCELLED' });
      await expect.poll(() => waiting(holder)).toBe(0);
    });
    await expectUnchanged(user);
  });

  it.each([
    ['deadlines', () => ({ timeout: 150 })],
    ['cancellations', () => ({ signal: AbortSignal.timeout(150) })],
  ])('gives its connection back: after 30 %s the pool of 2 works as before', async (_, settings) => {
    const user = await register(service);
    await whileLocked(user, async (holder) => {
      for (const { status } of await atOnce(30, () => rename(user, settings()))) expect(status).toBe('rejected');
      await expect.poll(() => waiting(holder)).toBe(0);
      // The lock is still held: what does not want it goes on.
      const others = await atOnce(POOL * 5, () => service.users.getUser({ userId: user.id }));
      expect(others.filter(({ status }) => status === 'rejected')).toEqual([]);
    });
    await expectUnchanged(user);
    expect((await rename(user, {})).user?.profile?.firstName).toBe('Changed');
  });
});

describe('a call whose deadline has passed before it begins', () => {
  it('changes nothing', async () => {
    const user = await register(service);
    for (const { status } of await atOnce(20, () => rename(user, { timeout: 0 }))) expect(status).toBe('rejected');
    await expectUnchanged(user);
  });
});

describe('calls that are cancelled at any moment', () => {
  it('are done altogether or not at all', async () => {
    const users = await Promise.all(Array.from({ length: 40 }, () => register(service)));
    await Promise.all(users.map((user, index) => rename(user, { timeout: index }).catch(() => undefined)));
    await service.users.getUser({ userId: required(users[0]).id });
    await vi.waitFor(async () => {
      const { rows } = await service.database.pool.query(
        `select u.id from users u join profiles p on p.user_id = u.id
         where (p.first_name = 'Changed') <> exists (select from audit_events e where e.user_id = u.id and e.type = 'user.updated')`,
      );
      expect(rows).toEqual([]);
    }, SOON);
  });
});

describe('a call without a deadline', () => {
  it('gets one of 10 seconds: it ends with DEADLINE_EXCEEDED, and its work with it', async () => {
    const own = await startService();
    const { id: userId } = await register(own);
    // No statement is slow enough to be given up by itself, and all of it is done again for a conflict: 15 seconds of work.
    await own.database.pool.query(`
      create function dawdle() returns trigger language plpgsql as $$ begin perform pg_sleep(1.3); return new; end $$;
      create function conflict() returns trigger language plpgsql as $$
        begin perform pg_sleep(1.3); raise exception 'once more' using errcode = '40001'; end $$;
      create trigger dawdle before update on users for each row execute function dawdle();
      create trigger dawdle before insert on audit_events for each row when (new.type = 'user.deactivated') execute function dawdle();
      create trigger dawdle before insert on events for each row when (new.type = 'user.deactivated') execute function dawdle();
      create constraint trigger conflict after update on users deferrable initially deferred for each row execute function conflict()`);
    const begin = performance.now();
    await expectStatus(own.users.deactivateUser({ userId }), 'DEADLINE_EXCEEDED', 'CALL_DEADLINE_EXCEEDED');
    const took = performance.now() - begin;
    expect(took).toBeGreaterThan(9_900);
    expect(took).toBeLessThan(12_000);
    await vi.waitFor(async () => {
      const { rows } = await own.database.pool.query(
        `select query from pg_stat_activity
         where datname = current_database() and application_name = 'identity' and (wait_event = 'PgSleep' or xact_start < now() - interval '1 s')`,
      );
      expect(rows).toEqual([]);
    }, SOON);
    expect((await own.users.getUser({ userId })).user?.active).toBe(true);
    await own.stop();
  });
});
