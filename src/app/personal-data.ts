import { apiKeyPersonalData } from '../access/api-keys/personal-data.repository.ts';
import { rolePersonalData } from '../access/roles/role.repository.ts';
import { auditPersonalData } from '../audit/personal-data.repository.ts';
import { emailChangePersonalData } from '../auth/email-change/email-change.repository.ts';
import { lockoutPersonalData } from '../auth/lockout/device-token.repository.ts';
import { tokenPersonalData } from '../auth/one-time-tokens/one-time-token.repository.ts';
import { passwordPersonalData } from '../auth/passwords/password-history.repository.ts';
import { eventPersonalData } from '../events/event.repository.ts';
import { mailPersonalData } from '../mail/mail.repository.ts';
import { sessionPersonalData } from '../sessions/personal-data.repository.ts';
import type { PersonalData } from '../users/personal-data.ts';

/** All that the features hold about a user beside the account itself, for ExportUser and DeleteUser. A test looks for a table that is missing. */
export const PERSONAL_DATA: readonly PersonalData[] = [
  ...rolePersonalData,
  ...sessionPersonalData,
  ...lockoutPersonalData,
  ...passwordPersonalData,
  ...apiKeyPersonalData,
  ...tokenPersonalData,
  ...emailChangePersonalData,
  ...mailPersonalData,
  ...eventPersonalData,
  ...auditPersonalData,
];
