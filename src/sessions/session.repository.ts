import { type EntityManager, LockMode } from '@mikro-orm/postgresql';
import { moveMoments } from '../database/moments.ts';
import { Session } from './session.entity.ts';

export type DeviceOfSession = Pick<Session, 'id' | 'ipAddress' | 'userAgent' | 'deviceName'>;

/** The devices on which sessions were begun, by the ids of the sessions. */
export async function findDevices(em: EntityManager, sessionIds: readonly string[]): Promise<ReadonlyMap<string, DeviceOfSession>> {
  const sql = `select id, ip_address as "ipAddress", user_agent as "userAgent", device_name as "deviceName"
    from sessions where id = any(cast(? as uuid[]))`;
  const devices = sessionIds.length === 0 ? [] : await em.execute<DeviceOfSession[]>(sql, [`{${sessionIds.join(',')}}`]);
  return new Map(devices.map((device) => [device.id, device]));
}

/** A session by its id. */
export function lockSessionWithUser(em: EntityManager, id: string): Promise<Session | null> {
  return lockWithUser(em, { id });
}

/** The session whose refresh tokens are of the family, whether or not any of them is still good. */
export function lockSessionOfFamily(em: EntityManager, refreshFamilyHash: Buffer): Promise<Session | null> {
  return lockWithUser(em, { refreshFamilyHash });
}

/**
 * Locks a session and its user. The user comes first, as everywhere: whoever ends all sessions of a user (deactivation, change of
 * password) holds the user and then wants the sessions, and the other way round the two would deadlock.
 */
function lockWithUser(em: EntityManager, where: { id: string } | { refreshFamilyHash: Buffer }): Promise<Session | null> {
  return em
    .createQueryBuilder(Session, 's')
    .innerJoinAndSelect('s.user', 'u')
    .where(where)
    .setLockMode(LockMode.PESSIMISTIC_WRITE, ['u', 's'])
    .getSingleResult() as Promise<Session | null>;
}

/** Tells whether a session is live. It does not end before the transaction; the caller of this function has locked the user. */
export async function lockLiveSession(em: EntityManager, id: string, now: Date): Promise<boolean> {
  const rows = await em.execute(
    `select 1 from sessions join session_generations on number = generation
     where id = ? and revoked_at is null and expires_at > ? and ended_at is null for share`,
    [id, now],
  );
  return rows.length > 0;
}

/** The most recently active first. */
export function findLiveSessions(em: EntityManager, userId: string, now: Date): Promise<Session[]> {
  return em.find(
    Session,
    { user: userId, revokedAt: null, expiresAt: { $gt: now }, ofCurrentGeneration: true },
    { orderBy: { lastActiveAt: 'desc', createdAt: 'desc', id: 'desc' } },
  );
}

export interface SessionPage {
  readonly userId: string;
  readonly now: Date;
  /** Seconds after which a session has ended, whatever its row says. */
  readonly sessionMaxAge: number;
  /** Last activity and id of the last session of the page before. */
  readonly after: readonly [string, string] | undefined;
  readonly limit: number;
}

/** The most recently active first, from after the given place. */
export function findLiveSessionPage(em: EntityManager, { userId, now, sessionMaxAge, after, limit }: SessionPage): Promise<Session[]> {
  const createdAt = { $gt: new Date(now.getTime() - sessionMaxAge * 1000) };
  const live = { user: userId, revokedAt: null, expiresAt: { $gt: now }, createdAt, ofCurrentGeneration: true };
  const query = em.createQueryBuilder(Session, 's').where(live);
  if (after) query.andWhere('(s.last_active_at, s.id) < (?, ?)', [...after]);
  return query
    .orderBy([{ lastActiveAt: 'desc' }, { id: 'desc' }])
    .limit(limit)
    .getResult() as Promise<Session[]>;
}

/** Moves `last_active_at`, where nobody has done so within the resolution. */
export function noteActivity(em: EntityManager, moments: ReadonlyMap<string, Date>, resolutionMs: number): Promise<void> {
  return moveMoments(em, { table: 'sessions', column: 'last_active_at' }, moments, resolutionMs);
}

/** Deletes up to `limit` sessions that were ended before then. */
export async function deleteRevokedSessions(em: EntityManager, before: Date, limit: number): Promise<number> {
  const deleted = await em.execute(
    'delete from sessions where id in (select id from sessions where revoked_at < ? limit ? for update skip locked) returning 1',
    [before, limit],
  );
  return deleted.length;
}

/** Deletes up to `limit` sessions that have expired before then. */
export async function deleteExpiredSessions(em: EntityManager, before: Date, limit: number): Promise<number> {
  const deleted = await em.execute(
    `delete from sessions where id in (
       select id from sessions where expires_on <= (cast(? as timestamptz) at time zone 'UTC')::date and expires_at < ? limit ?
     ) returning 1`,
    [before, before, limit],
  );
  return deleted.length;
}
