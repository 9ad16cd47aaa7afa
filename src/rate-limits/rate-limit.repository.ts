import type { EntityManager } from '@mikro-orm/postgresql';

/** Deletes up to `limit` counters whose window ended before then. */
export async function deleteExpiredRateLimits(em: EntityManager, before: Date, limit: number): Promise<number> {
  const deleted = await em.execute(
    'delete from rate_limits where key in (select key from rate_limits where expire < ? limit ? for update skip locked) returning 1',
    [before.getTime(), limit],
  );
  return deleted.length;
}
