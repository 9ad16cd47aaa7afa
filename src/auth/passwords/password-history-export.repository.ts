import type { EntityManager } from '@mikro-orm/postgresql';
import { rfc3339 } from '../../database/rfc3339.ts';

type Item = Record<string, string>;

/** When a user has chosen a password; the hashes are nobody's to see. */
export function exportPasswordHistory(em: EntityManager, userId: string, limit: number): Promise<Item[]> {
  return em.execute(
    `select ${rfc3339('created_at')} from password_history where user_id = ? order by password_history.created_at limit ?`,
    [userId, limit],
  );
}
