import { ApiKey } from '../access/api-keys/api-key.entity.ts';
import { Role } from '../access/roles/role.entity.ts';
import { RolePermission } from '../access/roles/role-permission.entity.ts';
import { ServiceAccountRole } from '../access/roles/service-account-role.entity.ts';
import { UserRole } from '../access/roles/user-role.entity.ts';
import { ServiceAccount } from '../access/service-accounts/service-account.entity.ts';
import { AuditEvent } from '../audit/audit-event.entity.ts';
import { AuditLog, type Recorded } from '../audit/audit-log.ts';
import { EmailChange } from '../auth/email-change/email-change.entity.ts';
import { AttemptedIdentifier } from '../auth/lockout/attempted-identifier.entity.ts';
import { DeviceToken } from '../auth/lockout/device-token.entity.ts';
import { UnknownLogin } from '../auth/lockout/unknown-login.entity.ts';
import { OneTimeToken } from '../auth/one-time-tokens/one-time-token.entity.ts';
import { PasswordHistory } from '../auth/passwords/password-history.entity.ts';
import { type Orm, type OrmSettings, openOrm } from '../database/orm.ts';
import { AuthorizationEpoch } from '../events/authorization-epoch.entity.ts';
import { Event } from '../events/event.entity.ts';
import { EventCursor } from '../events/event-cursor.entity.ts';
import { Mail } from '../mail/mail.entity.ts';
import { RateLimit } from '../rate-limits/rate-limit.entity.ts';
import { KnownDevice } from '../sessions/known-device.entity.ts';
import { Session } from '../sessions/session.entity.ts';
import { SessionGeneration } from '../sessions/session-generation.entity.ts';
import { Profile } from '../users/profile.entity.ts';
import { User } from '../users/user.entity.ts';

/** Every table of the service. */
export const ENTITIES = [
  User,
  Profile,
  Session,
  SessionGeneration,
  PasswordHistory,
  AttemptedIdentifier,
  UnknownLogin,
  DeviceToken,
  AuditEvent,
  Role,
  RolePermission,
  UserRole,
  ServiceAccount,
  ServiceAccountRole,
  ApiKey,
  AuthorizationEpoch,
  RateLimit,
  Event,
  EventCursor,
  Mail,
  OneTimeToken,
  EmailChange,
  KnownDevice,
];

/** The ORM with the tables of all rooms and the audit log of their units of work; `told` learns what that has written down. */
export function openServiceOrm(settings: Omit<OrmSettings, 'entities' | 'subscribers'>, told?: (recorded: Recorded) => void): Promise<Orm> {
  return openOrm({ ...settings, entities: ENTITIES, subscribers: [new AuditLog(told)] });
}
