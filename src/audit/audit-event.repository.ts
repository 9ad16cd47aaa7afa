import { type EntityManager, raw } from '@mikro-orm/postgresql';
import { actorOf, type Call } from '../rpc/call.ts';
import { AuditEvent } from './audit-event.entity.ts';

const ERASED = 'erased user';

/**
 * Who makes the call, as a value to insert. An access token outlives its user for a while, and the user may be erased just now: whoever
 * is gone is not named any more. The lock waits for the erasure.
 */
export function actorToInsert(call: Call): string {
  const { caller } = call;
  if (caller.kind !== 'user') return actorOf(call);
  return raw(`coalesce((select 'user:' || id from users where id = ? for key share), '${ERASED}')`, [caller.userId]);
}

/**
 * Takes from the events of a user everything personal, so that they may be kept when the user is erased (GDPR art. 17): address, agent,
 * device, and the user's id as actor. Returns how many there are.
 */
export async function anonymizeEventsOfUser(em: EntityManager, userId: string): Promise<number> {
  await em.nativeUpdate(AuditEvent, { actor: `user:${userId}` }, { actor: ERASED });
  return em.nativeUpdate(AuditEvent, { user: userId }, { ipAddress: null, userAgent: null, deviceName: null });
}
