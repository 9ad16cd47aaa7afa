import type { PagingDeps } from '../call/paging.ts';
import { AuditServiceService } from '../gen/identity/v1/audit_service.ts';
import { type Service, service } from '../rpc/server.ts';
import { rpc } from '../rpc/unary.ts';
import { toAuditEventMessage } from './audit.mapper.ts';
import { listAuditEvents, listAuditEventsInput } from './list-audit-events.ts';

export const auditService = (deps: PagingDeps): Service =>
  service(AuditServiceService, {
    listAuditEvents: rpc(listAuditEventsInput, async (call, input) => {
      const { rows, nextPageToken } = await listAuditEvents(call, deps, input);
      return { events: rows.map(toAuditEventMessage), nextPageToken };
    }),
  });
