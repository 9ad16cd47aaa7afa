import { AuditEvent } from './audit/audit-event.entity.ts';
import { UnknownLogin } from './auth/lockout/unknown-login.entity.ts';
import { PasswordHistory } from './auth/passwords/password-history.entity.ts';
import { RefreshToken } from './sessions/refresh-token.entity.ts';
import { Session } from './sessions/session.entity.ts';
import { Profile } from './users/profile.entity.ts';
import { User } from './users/user.entity.ts';

/** Every table of the service. */
export const ENTITIES = [User, Profile, Session, RefreshToken, PasswordHistory, UnknownLogin, AuditEvent];
