import { z } from 'zod';
import type { Call } from '../call/call.ts';
import { type Page, type PagingDeps, pageFields, readPage } from '../call/paging.ts';
import { emptyAsAbsent, line, uuid } from '../call/validation.ts';
import type { AuditEvent } from './audit-event.entity.ts';
import { findAuditEvents } from './audit-event.repository.ts';

const filter = z.object({
  userId: emptyAsAbsent(uuid),
  type: emptyAsAbsent(line(100)),
  startTime: z.date().optional(),
  endTime: z.date().optional(),
});

export type AuditFilter = z.output<typeof filter>;

export const listAuditEventsInput = z.object({ filter: filter.optional(), ...pageFields });

/** The newest first. */
export function listAuditEvents(
  call: Call,
  deps: PagingDeps,
  { filter = {}, ...page }: z.output<typeof listAuditEventsInput>,
): Promise<Page<AuditEvent>> {
  return readPage(call, deps, page, {
    rpc: 'ListAuditEvents',
    filter,
    cursorOf: ({ occurredAt, id }) => [occurredAt.toISOString(), id],
    find: (after, limit) => findAuditEvents(call.em, { filter, after, limit }),
  });
}
