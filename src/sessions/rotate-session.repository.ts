import type { Pool } from 'pg';
import type { Client } from '../audit/client.ts';
import { runPrepared } from '../database/prepared.ts';
import { roleNamesOf } from '../users/role-names.ts';

/** A refresh token that is traded in for the next one. */
export interface Rotation {
  readonly presentedHash: Buffer;
  readonly nextHash: Buffer;
  readonly salt: Buffer;
  readonly now: Date;
  readonly expiresAt: Date;
  readonly client: Client;
}

/** What the new tokens say. */
export interface RotatedSession {
  readonly id: string;
  readonly userId: string;
  readonly email: string;
  /** Names, sorted. */
  readonly roles: string[];
  readonly authMethods: string[];
  readonly createdAt: Date;
  readonly lastLoginAt: Date;
}

/**
 * The lock on the session is the one that revocation takes as well: whoever comes second sees what the first has done, because PostgreSQL
 * looks at the conditions again after a wait. Deactivation ends the sessions in its own transaction, so it is seen the same way.
 */
const ROTATE = {
  name: 'sessions.rotate',
  text: `
    with rotated as (
      update sessions s set refresh_hash = $2, previous_refresh_hash = s.refresh_hash, refresh_salt = $3, refreshed_at = $4, last_active_at = $4,
        expires_at = $5, ip_address = coalesce($6, s.ip_address), user_agent = coalesce($7, s.user_agent),
        device_name = coalesce($8, s.device_name)
      from refresh_tokens t, users u
      where t.token_hash = $1 and s.id = t.session_id and u.id = s.user_id
        and s.refresh_hash = $1 and s.revoked_at is null and s.expires_at > $4 and u.is_active
      returning s.id, s.user_id, s.auth_methods, s.created_at, u.email, u.last_login_at,
        ${roleNamesOf('u.id')} as roles
    ),
    next as (insert into refresh_tokens (token_hash, session_id, created_at) select $2, id, $4 from rotated)
    select id, user_id, email, roles, auth_methods,
      extract(epoch from created_at)::float8 * 1000 as created_at, extract(epoch from last_login_at)::float8 * 1000 as last_login_at
    from rotated`,
};

interface Row {
  id: string;
  user_id: string;
  email: string;
  roles: string[];
  auth_methods: string[];
  created_at: number;
  last_login_at: number;
}

/**
 * Rotates a session whose current token is presented, in one statement that is its own transaction. Undefined where it is any other token, or
 * the session or its user is not what they were: then nothing was changed.
 */
export async function rotateSession(pool: Pool, rotation: Rotation): Promise<RotatedSession | undefined> {
  const { presentedHash, nextHash, salt, now, expiresAt, client } = rotation;
  const device = [client.ipAddress ?? null, client.userAgent ?? null, client.deviceName ?? null];
  const [row] = await runPrepared<Row>(pool, ROTATE, [presentedHash, nextHash, salt, now, expiresAt, ...device]);
  return row && toRotatedSession(row);
}

function toRotatedSession({ id, user_id, email, roles, auth_methods, created_at, last_login_at }: Row): RotatedSession {
  return {
    id,
    userId: user_id,
    email,
    roles,
    authMethods: auth_methods,
    createdAt: new Date(created_at),
    lastLoginAt: new Date(last_login_at),
  };
}
