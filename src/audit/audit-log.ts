import type { EntityManager } from '@mikro-orm/postgresql';
import type { Call } from '../rpc/call.ts';
import { User } from '../users/user.entity.ts';
import { AuditEvent, type AuditEventType } from './audit-event.entity.ts';
import { actorToInsert } from './audit-event.repository.ts';
import { type Client, NO_CLIENT } from './client.ts';

export interface Occurrence {
  readonly type: AuditEventType;
  /** Whom it is about; absent where nobody may be named. */
  readonly userId?: string;
  readonly client?: Client;
  /** Never personal data: it outlives the user. */
  readonly metadata?: Record<string, string>;
}

/** Adds an event to the unit of work: it is committed, or rolled back, together with what it records. */
export function record(em: EntityManager, call: Call, { type, userId, client = NO_CLIENT, metadata = {} }: Occurrence): void {
  em.create(AuditEvent, {
    type,
    user: userId === undefined ? null : em.getReference(User, userId),
    actor: actorToInsert(call),
    ...client,
    occurredAt: call.now(),
    metadata,
  });
}
