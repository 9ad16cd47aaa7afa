import { type EntityManager, LockMode } from '@mikro-orm/postgresql';
import { RefreshToken } from './refresh-token.entity.ts';
import { Session } from './session.entity.ts';

/** A session together with its user, unlocked. */
export function findSessionWithUser(em: EntityManager, id: string): Promise<Session | null> {
  return em.findOne(Session, { id }, { populate: ['user'] });
}

/**
 * Locks a session and its user. The user comes first, as everywhere: whoever ends all sessions of a user (deactivation, change of
 * password) holds the user and then wants the sessions, and the other way round the two would deadlock.
 */
export function lockSessionWithUser(em: EntityManager, id: string): Promise<Session | null> {
  return em
    .createQueryBuilder(Session, 's')
    .innerJoinAndSelect('s.user', 'u')
    .where({ id })
    .setLockMode(LockMode.PESSIMISTIC_WRITE, ['u', 's'])
    .getSingleResult() as Promise<Session | null>;
}

/** Which session a refresh token was issued for; it does not matter whether the token is still good. */
export async function findSessionIdByRefreshHash(em: EntityManager, hash: Buffer): Promise<string | undefined> {
  const token = await em.findOne(RefreshToken, { hash });
  return token?.session.id;
}

/** The most recently active first. */
export function findLiveSessions(em: EntityManager, userId: string, now: Date): Promise<Session[]> {
  return em.find(
    Session,
    { user: userId, revokedAt: null, expiresAt: { $gt: now } },
    { orderBy: { lastActiveAt: 'desc', createdAt: 'desc', id: 'desc' } },
  );
}

export function countSessions(em: EntityManager, userId: string): Promise<number> {
  return em.count(Session, { user: userId });
}

/** Moves `last_active_at`; does nothing where somebody else has done so since `before`. */
export async function touchSession(em: EntityManager, id: string, now: Date, before: Date): Promise<void> {
  await em.nativeUpdate(Session, { id, lastActiveAt: { $lt: before } }, { lastActiveAt: now });
}

/** Deletes up to `limit` sessions that have expired before then, with their tokens. */
export async function deleteExpiredSessions(em: EntityManager, before: Date, limit: number): Promise<number> {
  const deleted = await em.execute('delete from sessions where id in (select id from sessions where expires_at < ? limit ?) returning 1', [
    before,
    limit,
  ]);
  return deleted.length;
}

/** Deletes up to `limit` used tokens that were issued before then: too long ago to be a sign of theft. */
export async function deleteOldRefreshTokens(em: EntityManager, before: Date, limit: number): Promise<number> {
  const deleted = await em.execute(
    `delete from refresh_tokens where token_hash in (
       select token_hash from refresh_tokens
       where created_at < ? and not exists (select from sessions where id = session_id and refresh_hash = token_hash)
       limit ? for update skip locked
     ) returning 1`,
    [before, limit],
  );
  return deleted.length;
}
