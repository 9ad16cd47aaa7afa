import type { Pool } from 'pg';
import { type Recorded, type RecordedBy, recording } from '../audit/recording.repository.ts';
import type { Client } from '../call/client.ts';
import { runPreparedUntil } from '../database/prepared.ts';
import { SEEN_LONG_AGO } from '../sessions/known-device.repository.ts';
import { roleNamesOf } from '../users/role-names.ts';

/** A session that is to begin for whom a password was compared. */
export interface NewSession extends RecordedBy {
  readonly id: string;
  readonly userId: string;
  /** The one that the password has matched. */
  readonly passwordHash: string;
  readonly mustBeVerified: boolean;
  readonly client: Client;
  /** See sessions/device.ts. */
  readonly deviceHash: Buffer | undefined;
  /** RFC 8176. */
  readonly authMethods: readonly string[];
  readonly refreshFamilyHash: Buffer;
  readonly refreshHash: Buffer;
  readonly now: Date;
  readonly expiresAt: Date;
  readonly maxSessions: number;
}

/** Who has signed in, as the tokens name them. */
export interface SignedIn {
  readonly email: string;
  /** Names, sorted. */
  readonly roles: string[];
  readonly recorded: readonly Recorded[];
}

/**
 * All of a statement sees the same snapshot, from before it gets hold of the user: sessions that a parallel login has just begun would not be
 * counted. So the user has to be the same version in the snapshot and under the lock; every sign-in makes another one.
 */
const SIGN_IN = {
  name: 'auth.sign-in',
  text: `
    with seen as materialized (select xmin as version from users where id = $1),
    signed_in as (
      update users u set failed_attempts = 0, locked_until = null, last_login_at = $4
      from seen
      where u.id = $1 and u.xmin = seen.version and u.is_active and u.password_hash = $2 and (u.email_verified_at is not null or not $3::boolean)
      returning u.id, u.email, ${roleNamesOf('u.id')} as roles
    ),
    ended as (
      update sessions s set revoked_at = $4
      from signed_in, (
        select id from sessions where user_id = $1 and revoked_at is null and expires_at > $4
        order by last_active_at desc, created_at desc, id desc offset $5 - 1
      ) surplus
      where s.id = surplus.id and s.revoked_at is null
      returning s.id, s.user_id
    ),
    begun as (
      insert into sessions (id, user_id, ip_address, user_agent, device_name, auth_methods, created_at, last_active_at, expires_at,
        refresh_family_hash, refresh_hash)
      select $6::uuid, id, $7::text, $8::text, $9::text, $10::text[], $4, $4, $11::timestamptz, $12::bytea, $13::bytea from signed_in
    ),
    device as (
      insert into known_devices as known (user_id, device_hash, first_seen_at, last_seen_at)
      select id, $14::bytea, $4, $4 from signed_in where $14 is not null
      on conflict (user_id, device_hash) do update set last_seen_at = excluded.last_seen_at where ${SEEN_LONG_AGO}
      returning known.user_id, known.xmax = 0 and exists (select from known_devices where user_id = $1 and device_hash <> $14) as another
    ),
    occurrences as (
      select 'session.revoked' as type, user_id, null as ip_address, null as user_agent, null as device_name,
        jsonb_build_object('session_id', id, 'reason', 'too_many_sessions') as metadata
      from ended
      union all
      select 'user.login', id, $7, $8, $9, jsonb_build_object('session_id', $6) from signed_in
      union all
      select 'user.new_device', user_id, $7, $8, $9, jsonb_build_object('session_id', $6) from device where another
    ),
    ${recording({ callerId: '$15', actor: '$16', now: '$4' })}
    select email, roles,
      (select jsonb_agg(jsonb_build_object('type', type, 'userId', user_id, 'metadata', metadata)) from occurrences) as recorded
    from signed_in`,
};

/**
 * Lets somebody in, in one statement that is its own transaction: what `signIn` does, for the usual case. Undefined where anything about the
 * user is not, or not any more, as it has to be, or somebody else is at work on them: then nothing was changed.
 */
export async function letIn(pool: Pool, signal: AbortSignal, session: NewSession): Promise<SignedIn | undefined> {
  const { id, userId, passwordHash, mustBeVerified, client, authMethods, deviceHash = null, now, expiresAt } = session;
  const { ipAddress = null, userAgent = null, deviceName = null } = client;
  const account = [userId, passwordHash, mustBeVerified, now, session.maxSessions];
  const begun = [id, ipAddress, userAgent, deviceName, authMethods, expiresAt, session.refreshFamilyHash, session.refreshHash];
  const values = [...account, ...begun, deviceHash, session.callerId, session.actor];
  const [row] = await runPreparedUntil<SignedIn>(signal, pool, SIGN_IN, values);
  return row;
}
