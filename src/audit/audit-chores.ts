import { BATCH, type CleanupStep } from '../jobs/cleanup.ts';
import { deleteOldAuditEvents } from './audit-event.repository.ts';
import type { AuditSettings } from './audit-settings.ts';

const DAY_MS = 86_400_000;

/** Events are kept as long as the operator says, and no longer: who did what is personal data, too. */
export const auditChores = ({ auditRetentionDays }: AuditSettings): CleanupStep[] => [
  { name: 'old_audit_events', run: (em, now) => deleteOldAuditEvents(em, new Date(now.getTime() - auditRetentionDays * DAY_MS), BATCH) },
];
