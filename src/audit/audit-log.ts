import type { EntityManager } from '@mikro-orm/postgresql';
import type { Call } from '../call/call.ts';
import { type Client, NO_CLIENT } from '../call/client.ts';
import { Event } from '../events/event.entity.ts';
import { isEventType } from '../events/event-types.ts';
import { User } from '../users/user.entity.ts';
import { AuditEvent, type AuditEventType } from './audit-event.entity.ts';
import { actorToInsert } from './audit-event.repository.ts';

/** Who does it, and when. */
export type Deed = Pick<Call, 'caller' | 'now'>;

export interface Occurrence {
  readonly type: AuditEventType;
  /** Whom it is about; absent where nobody may be named. */
  readonly userId?: string;
  readonly client?: Client;
  /** Never personal data: it outlives the user. */
  readonly metadata?: Record<string, string>;
  /** Whom it is about, for the consumers of events alone: the audit trail does not name who was erased. */
  readonly erasedUserId?: string;
  /** What only the consumers of events need to know beside the metadata. */
  readonly payload?: Record<string, string>;
}

/**
 * Writes down what happened, for auditors and, where the type is one that others follow, for the consumers of events. It belongs to the unit
 * of work: it is committed, or rolled back, together with what it records.
 */
export function record(em: EntityManager, call: Deed, occurrence: Occurrence): void {
  const { type, userId, client = NO_CLIENT, metadata = {}, erasedUserId, payload = {} } = occurrence;
  em.create(AuditEvent, {
    type,
    user: userId === undefined ? null : em.getReference(User, userId),
    actor: actorToInsert(call),
    ...client,
    occurredAt: call.now(),
    metadata,
  });
  if (isEventType(type)) {
    em.create(Event, { type, userId: userId ?? erasedUserId ?? null, payload: { ...metadata, ...payload }, occurredAt: call.now() });
  }
}
