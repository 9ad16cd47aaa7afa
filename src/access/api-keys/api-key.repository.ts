import { type EntityManager, LockMode } from '@mikro-orm/postgresql';
import { moveMoments } from '../../database/moments.ts';
import type { Subject } from '../roles/subject.ts';
import { ApiKey } from './api-key.entity.ts';

export interface ApiKeyPage {
  /** Creation and id of the last key of the page before. */
  readonly after: readonly [string, string] | undefined;
  readonly limit: number;
}

/** The newest first, from after the given place. */
export function findApiKeysOf(em: EntityManager, owner: Subject, { after, limit }: ApiKeyPage): Promise<ApiKey[]> {
  const query = em.createQueryBuilder(ApiKey, 'k').where(ownedBy(owner)).limit(limit);
  if (after) query.andWhere('(k.created_at, k.id) < (?, ?)', [...after]);
  return query.orderBy([{ createdAt: 'desc' }, { id: 'desc' }]).getResult() as Promise<ApiKey[]>;
}

function ownedBy({ userId, serviceAccountId }: Subject) {
  return userId === undefined ? { serviceAccount: serviceAccountId ?? '' } : { user: userId };
}

/** The number of keys of an owner that work. Under the lock on the owner it stays the same until the transaction ends. */
export function countWorkingKeys(em: EntityManager, owner: Subject, now: Date): Promise<number> {
  return em.count(ApiKey, { ...ownedBy(owner), ...working(now) });
}

const working = (now: Date) => ({ revokedAt: null, $or: [{ expiresAt: null }, { expiresAt: { $gt: now } }] });

/** Deletes the keys of an owner that do not work any more, but for the newest ones. */
export async function deleteEndedKeysBeyond(
  em: EntityManager,
  { userId, serviceAccountId }: Subject,
  keep: number,
  now: Date,
): Promise<void> {
  await em.execute(
    `delete from api_keys where id in (
       select id from api_keys where (user_id = cast(:userId as uuid) or service_account_id = cast(:serviceAccountId as uuid)) and ${ENDED_BEFORE}
       order by created_at desc, id desc offset :keep
     )`,
    { userId: userId ?? null, serviceAccountId: serviceAccountId ?? null, before: now, keep },
  );
}

/** Deletes up to `limit` keys that have been revoked or have expired before then. */
export async function deleteEndedKeys(em: EntityManager, before: Date, limit: number): Promise<number> {
  const deleted = await em.execute(
    `delete from api_keys where id in (select id from api_keys where ${ENDED_BEFORE} limit :limit for update skip locked) returning 1`,
    { before, limit },
  );
  return deleted.length;
}

const ENDED_BEFORE = '(revoked_at <= :before or expires_at <= :before)';

export function findApiKeyByHash(em: EntityManager, hash: Buffer): Promise<ApiKey | null> {
  return em.findOne(ApiKey, { hash });
}

/** The keys of a user that nobody has revoked, expired ones among them. */
export function findUnrevokedKeysOfUser(em: EntityManager, userId: string): Promise<ApiKey[]> {
  return em.find(ApiKey, { user: userId, revokedAt: null });
}

export function lockApiKey(em: EntityManager, id: string): Promise<ApiKey | null> {
  return em.findOne(ApiKey, { id }, { lockMode: LockMode.PESSIMISTIC_WRITE });
}

/** The keys that a key has made for its owner. */
export function lockDerivedKeys(em: EntityManager, parentId: string): Promise<ApiKey[]> {
  return em.find(ApiKey, { parentId }, { orderBy: { id: 'asc' }, lockMode: LockMode.PESSIMISTIC_WRITE });
}

/** A key that was neither revoked nor has expired. It is not revoked before the transaction ends. */
export function lockWorkingKey(em: EntityManager, id: string, now: Date): Promise<ApiKey | null> {
  const notExpired = { $or: [{ expiresAt: null }, { expiresAt: { $gt: now } }] };
  return em.findOne(ApiKey, { id, revokedAt: null, ...notExpired }, { lockMode: LockMode.PESSIMISTIC_READ });
}

/** Moves `last_used_at`. */
export function noteLastUse(em: EntityManager, moments: ReadonlyMap<string, Date>): Promise<void> {
  return moveMoments(em, { table: 'api_keys', column: 'last_used_at' }, moments, 0);
}
