import type { EntityManager } from '@mikro-orm/postgresql';
import { type Client, describedDevice } from '../call/client.ts';
import type { CleanupStep } from '../jobs/cleanup.ts';
import { lockedUserId } from '../users/user.repository.ts';
import { AuditEvent } from './audit-event.entity.ts';
import type { AuditSettings } from './audit-settings.ts';
import type { AuditFilter } from './list-audit-events.ts';

/** An access token outlives its user for a while; the actor is then called so. */
const ERASED = 'erased user';

/** An event to be written. */
export interface NewAuditEvent {
  readonly type: string;
  readonly userId: string | null;
  readonly callerId: string | null;
  readonly actor: string;
  readonly client: Client;
  readonly occurredAt: Date;
  readonly metadata: Record<string, string>;
}

/**
 * In one statement. A user is named only while they exist, be it as the subject or as the actor, and is not erased before the transaction
 * ends: the lock waits for an erasure that is under way.
 */
export async function insertAuditEvents(em: EntityManager, events: readonly NewAuditEvent[]): Promise<void> {
  const rows = events.map(({ client, ...event }) => ({ ...event, ...describedDevice(client) }));
  await em.execute(
    `insert into audit_events (type, user_id, actor, ip_address, user_agent, device_name, occurred_at, metadata)
     select type, subject, case when "callerId" is null then actor else coalesce('user:' || caller, '${ERASED}') end,
       case when present then "ipAddress" end, case when present then "userAgent" end, case when present then "deviceName" end,
       "occurredAt", metadata
     from (
       select *, ("callerId" is null or caller is not null) and ("userId" is null or subject is not null) as present
       from (
         select *, ${lockedUserId('"userId"')} as subject, ${lockedUserId('"callerId"')} as caller
         from json_to_recordset(?) as given (type text, "userId" uuid, "callerId" uuid, actor text, "ipAddress" text, "userAgent" text,
           "deviceName" text, "occurredAt" timestamptz, metadata jsonb)
       ) named
     ) known`,
    [JSON.stringify(rows)],
  );
}

/**
 * Takes from the events of a user everything personal, so that they may be kept when the user is erased (GDPR art. 17): address, agent,
 * device, and the user's id as actor. Returns how many there are.
 */
export async function anonymizeEventsOfUser(em: EntityManager, userId: string): Promise<number> {
  await em.nativeUpdate(AuditEvent, { actor: `user:${userId}` }, { actor: ERASED, ipAddress: null, userAgent: null, deviceName: null });
  return em.nativeUpdate(AuditEvent, { user: userId }, { ipAddress: null, userAgent: null, deviceName: null });
}

export interface AuditEventPage {
  readonly filter: AuditFilter;
  /** Moment and id of the last event of the page before. */
  readonly after: readonly [string, string] | undefined;
  readonly limit: number;
}

/** The newest first, from after the given place. */
export function findAuditEvents(em: EntityManager, { filter, after, limit }: AuditEventPage): Promise<AuditEvent[]> {
  const query = em.createQueryBuilder(AuditEvent, 'e').limit(limit);
  if (filter.userId !== undefined) query.andWhere({ user: filter.userId });
  if (filter.type !== undefined) query.andWhere('e.type = ?', [filter.type]);
  if (filter.startTime) query.andWhere({ occurredAt: { $gte: filter.startTime } });
  if (filter.endTime) query.andWhere({ occurredAt: { $lt: filter.endTime } });
  if (after) query.andWhere('(e.occurred_at, e.id) < (?, ?)', [...after]);
  return query.orderBy([{ occurredAt: 'desc' }, { id: 'desc' }]).getResult() as Promise<AuditEvent[]>;
}

/** Deletes up to `limit` events that happened before then. */
export async function deleteOldAuditEvents(em: EntityManager, before: Date, limit: number): Promise<number> {
  const deleted = await em.execute(
    'delete from audit_events where id in (select id from audit_events where occurred_at < ? limit ?) returning 1',
    [before, limit],
  );
  return deleted.length;
}

const DAY_MS = 86_400_000;

/** Events are kept as long as the operator says, and no longer: who did what is personal data, too. */
export const auditCleanup = ({ auditRetentionDays }: AuditSettings): CleanupStep[] => [
  {
    name: 'old_audit_events',
    run: (em, now, limit) => deleteOldAuditEvents(em, new Date(now.getTime() - auditRetentionDays * DAY_MS), limit),
  },
];
