import type { EntityManager } from '@mikro-orm/postgresql';
import type { PreparedStatement, PreparedStatements } from '../database/prepared.ts';
import type { CleanupStep } from '../jobs/cleanup.ts';

/** The number of times that a key was counted in its window, which ends at `expire` (milliseconds since 1970). */
export interface Count {
  readonly key: string;
  readonly points: number;
  readonly expire: number;
}

const COUNT: PreparedStatement = {
  name: 'rate-limits.count',
  text: `
    insert into rate_limits as counted (key, points, expire)
    select key, 1, $2::bigint from unnest($1::text[]) as given (key)
    -- A call that is let through commits later, and that commit waits for the disk for all that was written before.
    where set_config('synchronous_commit', 'off', true) is not null
    on conflict (key) do update set
      points = case when counted.expire <= $3 then 1 else counted.points + 1 end,
      expire = case when counted.expire <= $3 then excluded.expire else counted.expire end
    returning key, points, expire::float8 as expire`,
};

/** Counts one more of each, in windows that end at `windowEnd` if they begin now. Those who count several name them in the same order. */
export function countCalls(db: PreparedStatements, keys: readonly string[], now: number, windowEnd: number): Promise<Count[]> {
  return db.run(COUNT, [keys, windowEnd, now]);
}

/** Deletes up to `limit` counters whose window ended before then. */
export async function deleteExpiredRateLimits(em: EntityManager, before: Date, limit: number): Promise<number> {
  const deleted = await em.execute(
    'delete from rate_limits where key in (select key from rate_limits where expire < ? limit ? for update skip locked) returning 1',
    [before.getTime(), limit],
  );
  return deleted.length;
}

/** The counters of every address and identifier that was ever tried; those of a window that is over count nothing any more. */
export const rateLimitCleanup: readonly CleanupStep[] = [{ name: 'expired_rate_limits', run: deleteExpiredRateLimits }];
