import { expect } from 'vitest';
import { rows } from './rows.ts';
import type { TestService } from './service.ts';

type Held = Pick<TestService, 'database'>;

/** A transaction of the test that holds the row of a user. */
export interface HeldUser {
  query(sql: string, values?: unknown[]): Promise<unknown>;
  release(): Promise<void>;
}

export function holdUser(service: Held, userId: string): Promise<HeldUser> {
  return hold(service, 'select 1 from users where id = $1 for update', [userId]);
}

/** A transaction of the test that keeps everybody from changing who may do what. */
export function holdEpoch(service: Held): Promise<HeldUser> {
  return hold(service, 'select 1 from authorization_epoch for update');
}

async function hold(service: Held, lock: string, values: unknown[] = []): Promise<HeldUser> {
  const connection = await service.database.pool.connect();
  await connection.query('begin');
  await connection.query(lock, values);
  return {
    query: (sql, values) => connection.query(sql, values),
    async release() {
      await connection.query('commit');
      connection.release();
    },
  };
}

/** Changes a user by SQL at the moment at which a call waits for them: the call sees the change once it has the lock. */
export async function changeMeanwhile(service: Held, userId: string, sql: string, start: () => Promise<unknown>): Promise<void> {
  const held = await holdUser(service, userId);
  const call = start();
  await untilBlocked(service, 1);
  await held.query(sql, [userId]);
  await held.release();
  await call;
}

/** Waits until as many statements, or as many that begin so, are stopped by somebody's lock. */
export async function untilBlocked(service: Held, count: number, beginning = ''): Promise<void> {
  const sql = `select count(*)::int as count from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock' and starts_with(query, $1)`;
  await expect.poll(async () => (await rows(service, sql, [beginning]))[0]?.count).toBe(count);
}

/**
 * Stops a call that checks a password at the moment after it: the attempt is claimed, the password is compared, and what follows waits
 * for the user, whom the result holds. The service needs a BCRYPT_COST that gives the test time to get there first.
 */
export async function holdAfterCompare(service: Held, userId: string, start: () => void): Promise<HeldUser> {
  const before = await holdUser(service, userId);
  start();
  await untilBlocked(service, 1);
  // Next in the queue behind the claim, so before anything that comes after the claim.
  const held = holdUser(service, userId);
  await untilBlocked(service, 2);
  await before.release();
  const user = await held;
  await untilBlocked(service, 1);
  return user;
}
