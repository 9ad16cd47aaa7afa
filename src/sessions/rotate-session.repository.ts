import type { Client } from '../call/client.ts';
import type { PreparedStatements } from '../database/prepared.ts';
import { roleNamesOf } from '../users/user.entity.ts';
import type { Session } from './session.entity.ts';
import { CURRENT_GENERATION } from './session-generation.entity.ts';

/** A refresh token that is replaced by the next one. Durations are seconds. */
export interface RefreshTokenRotation {
  readonly familyHash: Buffer;
  readonly presentedHash: Buffer;
  readonly nextHash: Buffer;
  readonly salt: Buffer;
  readonly now: Date;
  readonly refreshTtl: number;
  readonly refreshGrace: number;
  readonly sessionMaxAge: number;
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
  readonly expiresAt: Date;
  readonly reauthenticatedAt: Date | null;
  readonly lastLoginAt: Date;
}

/** A rotation that a session remembers: its moment, and the salt from which the new token was derived. */
export interface Rotation {
  readonly at: Date;
  readonly salt: Buffer;
}

/** More of them within one grace period are not remembered: an older token is refused then, and ends nothing. */
const REMEMBERED_ROTATIONS = 4;

/*
 * The rotations before the latest one are kept in one value, the newest first: of each the moment as PostgreSQL sends it (microseconds since 2000
 * in 8 bytes), and the salt. The one before the latest stays, since a token of that age may come back within the grace; those before it only
 * while they are within the grace themselves. All of it is done in the units of the columns: it is a part of every refresh.
 */
const MOMENT_BYTES = 8;
const MOMENT_EPOCH_MS = Date.UTC(2000, 0, 1);
const ROTATION_BYTES = MOMENT_BYTES + 32;
const LATEST = 'timestamptz_send(s.refreshed_at) || s.refresh_salt';
const EARLIER = `case when s.refreshed_at > $7 then substring(s.earlier_rotations for ${(REMEMBERED_ROTATIONS - 2) * ROTATION_BYTES}) end`;

/**
 * The lock on the session is the one that revocation takes as well: whoever comes second sees what the first has done, because PostgreSQL
 * looks at the conditions again after a wait. Deactivation ends the sessions in its own transaction, so it is seen the same way.
 */
const ROTATE = {
  name: 'sessions.rotate',
  text: `
    update sessions s set refresh_hash = $3, refresh_salt = $4, refreshed_at = $5, last_active_at = $5,
      earlier_rotations = ${LATEST} || coalesce(${EARLIER}, ''), expires_at = least($6, s.created_at + $8::interval),
      ip_address = coalesce($10, s.ip_address), user_agent = coalesce($11, s.user_agent), device_name = coalesce($12, s.device_name)
    from users u
    where s.refresh_family_hash = $1 and s.refresh_hash = $2 and s.revoked_at is null and s.expires_at > $5 and s.created_at > $9
      and s.generation = ${CURRENT_GENERATION} and u.id = s.user_id and u.is_active
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
export async function rotateSession(db: PreparedStatements, rotation: RefreshTokenRotation): Promise<RotatedSession | undefined> {
  const { familyHash, presentedHash, nextHash, salt, now, refreshTtl, refreshGrace, sessionMaxAge, client } = rotation;
  const after = (seconds: number) => new Date(now.getTime() + seconds * 1000);
  const limits = [after(refreshTtl), after(-refreshGrace), `${sessionMaxAge} seconds`, after(-sessionMaxAge)];
  const device = [client.ipAddress ?? null, client.userAgent ?? null, client.deviceName ?? null];
  const [row] = await db.run<Row>(ROTATE, [familyHash, presentedHash, nextHash, salt, now, ...limits, ...device]);
  return row && toRotatedSession(row, rotation);
}

function toRotatedSession(row: Row, { now, refreshTtl, sessionMaxAge }: RefreshTokenRotation): RotatedSession {
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
    expiresAt: new Date(Math.min(now.getTime() + refreshTtl * 1000, row.created_at + sessionMaxAge * 1000)),
    lastLoginAt: new Date(row.last_login_at),
  };
}

function dateOf(milliseconds: number | null): Date | null {
  return milliseconds === null ? null : new Date(milliseconds);
}

/** The rotations that a session remembers, the newest first. */
export function rotationsOf({ refreshedAt, refreshSalt, earlierRotations }: Session): Rotation[] {
  if (!refreshedAt || !refreshSalt) return [];
  return [{ at: refreshedAt, salt: refreshSalt }, ...readRotations(earlierRotations ?? Buffer.alloc(0))];
}

function readRotations(bytes: Buffer): Rotation[] {
  return Array.from({ length: bytes.length / ROTATION_BYTES }, (_, index) => {
    const rotation = bytes.subarray(index * ROTATION_BYTES, (index + 1) * ROTATION_BYTES);
    const at = new Date(MOMENT_EPOCH_MS + Number(rotation.readBigInt64BE()) / 1000);
    return { at, salt: rotation.subarray(MOMENT_BYTES) };
  });
}
