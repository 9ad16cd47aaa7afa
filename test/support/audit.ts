import { rows } from './rows.ts';
import type { TestService } from './service.ts';

/** An end user's device, as the caller tells of it. */
export const DEVICE = { ipAddress: '203.0.113.9', userAgent: 'Browser/1.0', deviceName: "Ada's phone" } as const;

export interface AuditRow {
  readonly type: string;
  readonly userId: string | null;
  readonly actor: string;
  readonly ipAddress: string | null;
  readonly userAgent: string | null;
  readonly deviceName: string | null;
}

/** The audit events of one type about a user, oldest first. */
export async function auditEvents({ database }: TestService, type: string, userId: string): Promise<AuditRow[]> {
  const { rows: events } = await database.pool.query<AuditRow>(
    `select type, user_id as "userId", actor, ip_address as "ipAddress", user_agent as "userAgent", device_name as "deviceName"
     from audit_events where type = $1 and user_id = $2 order by occurred_at`,
    [type, userId],
  );
  return events;
}

/** How many audit events of one type there are, whomever they are about. */
export async function countEvents(service: TestService, type: string): Promise<number> {
  const [row] = await rows<{ count: number }>(service, 'select count(*)::int as count from audit_events where type = $1', [type]);
  return row?.count ?? 0;
}
