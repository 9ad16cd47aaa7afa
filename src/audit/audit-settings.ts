import { integer, type ValuesOf } from '../settings/variables.ts';

export const auditVariables = {
  AUDIT_RETENTION_DAYS: integer(365, 1, 36_500),
};

export interface AuditSettings {
  /** Events are kept for so long. */
  readonly auditRetentionDays: number;
}

export function auditSettings(env: ValuesOf<typeof auditVariables>): AuditSettings {
  return { auditRetentionDays: env.AUDIT_RETENTION_DAYS };
}
