import { defineEntity, p } from '@mikro-orm/postgresql';
import { id, moment } from '../database/columns.ts';
import { User } from '../users/user.entity.ts';
import type { AuditEventType } from './audit-event-types.ts';

const AuditEventSchema = defineEntity({
  name: 'AuditEvent',
  tableName: 'audit_events',
  properties: {
    id: id(),
    type: p.string().length(100).$type<AuditEventType>(),
    user: () => p.manyToOne(User).nullable().deleteRule('set null').updateRule('no action').foreignKeyName('audit_events_user_id_fkey'),
    /** The caller, e.g. `user:<uuid>` or `anonymous`. */
    actor: p.string().length(200),
    ipAddress: p.string().length(45).nullable(),
    userAgent: p.string().length(1024).nullable(),
    deviceName: p.string().length(100).nullable(),
    occurredAt: moment(),
    metadata: p.json<Record<string, string>>().defaultRaw(`'{}'::jsonb`),
  },
  indexes: [
    { name: 'audit_events_user_id_occurred_at_idx', properties: ['user', 'occurredAt'] },
    // Erasing a user takes their name from what they did.
    { name: 'audit_events_actor_idx', properties: ['actor'] },
    { name: 'audit_events_occurred_at_id_idx', properties: ['occurredAt', 'id'] },
  ],
});

/** Something that happened, written in the transaction of what it records. Outlives the user it is about. */
export class AuditEvent extends AuditEventSchema.class {}
AuditEventSchema.setClass(AuditEvent);
