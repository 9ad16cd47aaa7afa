import type { Client } from '../call/client.ts';
import type { PreparedStatements } from '../database/prepared.ts';
import { roleNamesOf } from '../users/user.entity.ts';

/** A refresh token that is replaced by the next one. */
export interface Rotation {
  readonly familyHash: Buffer;
  readonly presentedHash: Buffer;
  readonly nextHash: Buffer;
  readonly salt: Buffer;
  readonly now: Date;
  readonly expiresAt: Date;
  readonly client: Client;
}

/** The contents of the new tokens. */
export interface RotatedSession {
  readonly id: string;
  readonly userId: string;
  readonly email: string;
  readonly emailVerifiedAt: Date | null;
  /** Names, sorted. */
  readonly roles: string[];
  readonly authMethods: string[];
  readonly clientId: string | null;
  readonly createdAt: Date;
  readonly reauthenticatedAt: Date | null;
  readonly lastLoginAt: Date;
}

/**
 * The lock on the session is the one that revocation takes as well: whoever comes second sees what the first has done, because PostgreSQL
 * looks at the conditions again after a wait. Deactivation ends the sessions in its own transaction, so it is seen the same way.
 */
const ROTATE = {
  name: 'sessions.rotate',
  text: `
    update sessions s set refresh_hash = $3, previous_refresh_hash = s.refresh_hash, refresh_salt = $4, refreshed_at = $5, last_active_at = $5,
      expires_at = $6, ip_address = coalesce($7, s.ip_address), user_agent = coalesce($8, s.user_agent),
      device_name = coalesce($9, s.device_name)
    from users u
    where s.refresh_family_hash = $1 and s.refresh_hash = $2 and s.revoked_at is null and s.expires_at > $5
      and u.id = s.user_id and u.is_active
    returning s.id, s.user_id, s.auth_methods, s.client_id, u.email, ${roleNamesOf('u.id')} as roles,
      extract(epoch from s.reauthenticated_at)::float8 * 1000 as reauthenticated_at,
      extract(epoch from u.email_verified_at)::float8 * 1000 as email_verified_at,
      extract(epoch from s.created_at)::float8 * 1000 as created_at, extract(epoch from u.last_login_at)::float8 * 1000 as last_login_at`,
};

interface Row {
  id: string;
  user_id: string;
  email: string;
  roles: string[];
  auth_methods: string[];
  client_id: string | null;
  created_at: number;
  reauthenticated_at: number | null;
  email_verified_at: number | null;
  last_login_at: number;
}

/**
 * Rotates a session whose current token is presented, in one statement that is its own transaction. Undefined where it is any other token, or
 * the session or its user is not what they were: then nothing was changed.
 */
export async function rotateSession(db: PreparedStatements, rotation: Rotation): Promise<RotatedSession | undefined> {
  const { familyHash, presentedHash, nextHash, salt, now, expiresAt, client } = rotation;
  const device = [client.ipAddress ?? null, client.userAgent ?? null, client.deviceName ?? null];
  const [row] = await db.run<Row>(ROTATE, [familyHash, presentedHash, nextHash, salt, now, expiresAt, ...device]);
  return row && toRotatedSession(row);
}

function toRotatedSession(row: Row): RotatedSession {
  return {
    id: row.id,
    userId: row.user_id,
    email: row.email,
    emailVerifiedAt: dateOf(row.email_verified_at),
    roles: row.roles,
    authMethods: row.auth_methods,
    clientId: row.client_id,
    createdAt: new Date(row.created_at),
    reauthenticatedAt: dateOf(row.reauthenticated_at),
    lastLoginAt: new Date(row.last_login_at),
  };
}

function dateOf(milliseconds: number | null): Date | null {
  return milliseconds === null ? null : new Date(milliseconds);
}
