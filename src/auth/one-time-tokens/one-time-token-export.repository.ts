import type { EntityManager } from '@mikro-orm/postgresql';
import { rfc3339 } from '../../database/rfc3339.ts';

type Item = Record<string, string | number>;

/** What mails still let a user do; neither the id nor the hash, to which the secret hangs. */
export function exportOneTimeTokens(em: EntityManager, userId: string, limit: number): Promise<Item[]> {
  return em.execute(
    `select purpose, failed_attempts, ${rfc3339('created_at')}, ${rfc3339('expires_at')}
     from one_time_tokens where user_id = ? order by one_time_tokens.created_at limit ?`,
    [userId, limit],
  );
}
