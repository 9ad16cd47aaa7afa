import { exportApiKeys } from '../access/api-keys/api-key-export.repository.ts';
import { exportActions, exportAuditEvents } from '../audit/audit-export.repository.ts';
import { exportOneTimeTokens } from '../auth/one-time-tokens/one-time-token-export.repository.ts';
import { exportPasswordHistory } from '../auth/passwords/password-history-export.repository.ts';
import { exportEvents } from '../events/event-export.repository.ts';
import { exportMails } from '../mail/mail-export.repository.ts';
import { exportKnownDevices, exportSessions } from '../sessions/session-export.repository.ts';
import type { Holding } from '../users/export-user.ts';

/** All that the other features hold about a user, for ExportUser. A test looks for a table that is missing here. */
export const PERSONAL_DATA: readonly Holding[] = [
  { kind: 'sessions', export: exportSessions },
  { kind: 'known_devices', export: exportKnownDevices },
  { kind: 'api_keys', export: exportApiKeys },
  { kind: 'password_history', export: exportPasswordHistory },
  { kind: 'one_time_tokens', export: exportOneTimeTokens },
  { kind: 'mails', export: exportMails },
  { kind: 'events', export: exportEvents },
  { kind: 'audit_events', export: exportAuditEvents },
  { kind: 'actions', export: exportActions },
];
