import type { EntityManager } from '@mikro-orm/postgresql';
import { rfc3339 } from '../database/rfc3339.ts';

type Item = Record<string, string | number>;

/** The mails that wait to be sent to a user; what stands in them comes from elsewhere. */
export function exportMails(em: EntityManager, userId: string, limit: number): Promise<Item[]> {
  return em.execute(
    `select template, attempts, ${rfc3339('created_at')}, ${rfc3339('next_attempt_at')}
     from mails where user_id = ? order by mails.created_at, id limit ?`,
    [userId, limit],
  );
}
