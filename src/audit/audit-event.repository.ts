import type { EntityManager } from '@mikro-orm/postgresql';
import { AuditEvent } from './audit-event.entity.ts';

/**
 * Takes from the events of a user everything personal, so that they may be kept when the user is erased (GDPR art. 17): address, agent,
 * device, and the user's id as actor. Returns how many there are.
 */
export async function anonymizeEventsOfUser(em: EntityManager, userId: string): Promise<number> {
  await em.nativeUpdate(AuditEvent, { actor: `user:${userId}` }, { actor: 'erased user' });
  return em.nativeUpdate(AuditEvent, { user: userId }, { ipAddress: null, userAgent: null, deviceName: null });
}
