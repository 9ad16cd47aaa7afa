import { GRANTS_OF_USER, type UserGrants } from '../../access/roles/user-grants.ts';
import { Permissions } from '../../call/permissions.ts';
import { BoundedMap } from '../../concurrency/bounded-map.ts';
import { listOf, type PreparedStatements } from '../../database/prepared.ts';
import { CURRENT_GENERATION } from '../../sessions/session-generation.entity.ts';
import type { LiveSession, UserAuthorization } from './live-sessions.ts';

const FIND = {
  name: 'callers.find-live-sessions',
  text: `
    select s.id, s.user_id,
      extract(epoch from least(s.expires_at, s.created_at + $2::interval))::float8 * 1000 as expires_at,
      extract(epoch from s.last_active_at)::float8 * 1000 as last_active_at,
      users.email_verified_at is not null as email_verified, ${GRANTS_OF_USER}
    from sessions s join users on users.id = s.user_id
    where s.id = any(${listOf('uuid')}) and s.revoked_at is null and s.generation = ${CURRENT_GENERATION} and users.is_active`,
};

interface Row extends UserGrants {
  id: string;
  user_id: string;
  expires_at: number;
  last_active_at: number;
  email_verified: boolean;
}

/** The sessions with these ids, by id: those of active users that were not ended. They may have expired. In one query. */
export async function recogniseSessions(
  db: PreparedStatements,
  ids: readonly string[],
  sessionMaxAge: number,
): Promise<ReadonlyMap<string, LiveSession>> {
  const rows = await db.run<Row>(FIND, [ids, `${sessionMaxAge} seconds`]);
  return new Map(rows.map((row) => [row.id, toLiveSession(row)]));
}

function toLiveSession({ id, user_id, expires_at, last_active_at, email_verified, roles, permissions }: Row): LiveSession {
  return {
    id,
    userId: user_id,
    expiresAt: new Date(expires_at),
    lastActiveAt: new Date(last_active_at),
    emailVerified: email_verified,
    authorization: authorizationOf({ roles, permissions }),
  };
}

/** Most users have the same few roles: what these come to is kept once, and takes no memory for each of them. */
const AUTHORIZATIONS = new BoundedMap<string, UserAuthorization>(1000);

function authorizationOf({ roles, permissions }: UserGrants): UserAuthorization {
  const key = JSON.stringify([roles, permissions]);
  const authorization = AUTHORIZATIONS.get(key) ?? { roles, permissions: new Permissions(permissions) };
  AUTHORIZATIONS.set(key, authorization);
  return authorization;
}
