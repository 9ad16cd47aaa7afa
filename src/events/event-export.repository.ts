import type { EntityManager } from '@mikro-orm/postgresql';
import { rfc3339 } from '../database/rfc3339.ts';

type Item = Record<string, string | Record<string, string>>;

/** What was told about a user to those who follow the events. */
export function exportEvents(em: EntityManager, userId: string, limit: number): Promise<Item[]> {
  return em.execute(`select type, payload, ${rfc3339('occurred_at')} from events where user_id = ? order by position limit ?`, [
    userId,
    limit,
  ]);
}
