import { type EntityManager, raw } from '@mikro-orm/postgresql';
import { actorOf, type Call } from '../call/call.ts';
import { AuditEvent } from './audit-event.entity.ts';
import type { AuditFilter } from './list-audit-events.ts';

export const ERASED = 'erased user';

/**
 * Who makes the call, as a value to insert. An access token outlives its user for a while, and the user may be erased just now: whoever
 * is gone is not named any more. The lock waits for the erasure.
 */
export function actorToInsert(call: Pick<Call, 'caller'>): string {
  const { caller } = call;
  if (caller.kind !== 'user') return actorOf(call);
  return raw(`coalesce((select 'user:' || id from users where id = ? for key share), '${ERASED}')`, [caller.userId]);
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
