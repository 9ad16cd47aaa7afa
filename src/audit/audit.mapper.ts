import type { AuditEvent as AuditEventMessage } from '../gen/identity/v1/audit_event.ts';
import type { AuditEvent } from './audit-event.entity.ts';

export function toAuditEventMessage(event: AuditEvent): AuditEventMessage {
  return {
    id: event.id,
    type: event.type,
    userId: event.user?.id,
    actor: event.actor,
    client: {
      ipAddress: event.ipAddress ?? '',
      userAgent: event.userAgent ?? '',
      deviceName: event.deviceName ?? '',
    },
    occurTime: event.occurredAt,
    metadata: new Map(Object.entries(event.metadata)),
  };
}
