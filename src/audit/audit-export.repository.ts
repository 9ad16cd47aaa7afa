import type { EntityManager } from '@mikro-orm/postgresql';
import { rfc3339 } from '../database/rfc3339.ts';

type Item = Record<string, string | Record<string, string> | null>;

/** What was written down about a user. */
export function exportAuditEvents(em: EntityManager, userId: string, limit: number): Promise<Item[]> {
  return em.execute(
    `select type, actor, ip_address, user_agent, device_name, metadata, ${rfc3339('occurred_at')}
     from audit_events where user_id = ? order by audit_events.occurred_at, id limit ?`,
    [userId, limit],
  );
}

/** What a user has done to others; nothing of whom it was done to (GDPR art. 15(4)). */
export function exportActions(em: EntityManager, userId: string, limit: number): Promise<Item[]> {
  return em.execute(
    `select type, ${rfc3339('occurred_at')} from audit_events
     where actor = ? and user_id is distinct from ? order by audit_events.occurred_at, id limit ?`,
    [`user:${userId}`, userId, limit],
  );
}
