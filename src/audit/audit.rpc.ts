import { AuditServiceService } from '../gen/identity/v1/audit_service.ts';
import { type Service, service } from '../rpc/server.ts';
import { rpc } from '../rpc/unary.ts';
import { toAuditEventMessage } from './audit.mapper.ts';
import { type ListAuditEventsDeps, listAuditEvents, listAuditEventsInput } from './list-audit-events.ts';

export const auditService = (deps: ListAuditEventsDeps): Service =>
  service(AuditServiceService, {
    listAuditEvents: rpc(listAuditEventsInput, async (call, input) => {
      const { events, nextPageToken } = await listAuditEvents(call, deps, input);
      return { events: events.map(toAuditEventMessage), nextPageToken };
    }),
  });
