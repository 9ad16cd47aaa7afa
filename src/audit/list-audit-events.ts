import { z } from 'zod';
import { actorOf, type Call } from '../call/call.ts';
import type { PageTokens } from '../call/page-token.ts';
import { pageSize, pageToken } from '../call/paging.ts';
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

export const listAuditEventsInput = z.object({ filter: filter.optional(), pageSize, pageToken });

export interface ListAuditEventsDeps {
  readonly pageTokens: PageTokens;
}

export interface AuditPage {
  readonly events: AuditEvent[];
  readonly nextPageToken: string;
}

/** The newest first; one row more than asked for tells whether there is another page. */
export async function listAuditEvents(
  call: Call,
  { pageTokens }: ListAuditEventsDeps,
  input: z.output<typeof listAuditEventsInput>,
): Promise<AuditPage> {
  const { filter = {}, pageSize: size, pageToken: token } = input;
  const scope = ['ListAuditEvents', actorOf(call), filter];
  const after = token === '' ? undefined : pageTokens.open(token, scope);
  const rows = await findAuditEvents(call.em, { filter, after, limit: size + 1 });
  const events = rows.slice(0, size);
  const last = events.at(-1);
  const nextPageToken = last && rows.length > size ? pageTokens.seal([last.occurredAt.toISOString(), last.id], scope) : '';
  return { events, nextPageToken };
}
