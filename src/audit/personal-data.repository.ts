import type { EntityManager } from '@mikro-orm/postgresql';
import { rfc3339 } from '../database/moments.ts';
import type { PersonalData } from '../users/personal-data.ts';

type Item = Record<string, string | Record<string, string> | null>;

/** Exports what was written down about a user. */
function exportAuditEvents(em: EntityManager, userId: string, limit: number): Promise<Item[]> {
  return em.execute(
    `select type, actor, ip_address, user_agent, device_name, metadata, ${rfc3339('occurred_at')}
     from audit_events where user_id = ? order by audit_events.occurred_at, id limit ?`,
    [userId, limit],
  );
}

/** Exports what a user has done to others; nothing of those whom it was done to (GDPR art. 15(4)). */
function exportActions(em: EntityManager, userId: string, limit: number): Promise<Item[]> {
  return em.execute(
    `select type, ${rfc3339('occurred_at')} from audit_events
     where actor = ? and user_id is distinct from ? order by audit_events.occurred_at, id limit ?`,
    [`user:${userId}`, userId, limit],
  );
}

/** Kept when the user is erased, without anything personal. */
export const auditPersonalData: readonly PersonalData[] = [
  { kind: 'audit_events', export: exportAuditEvents },
  { kind: 'actions', export: exportActions },
];
