import { type EntityManager, LockMode } from '@mikro-orm/postgresql';
import { moveMoments } from '../../database/moments.ts';
import type { Subject } from '../roles/subject.ts';
import { ApiKey } from './api-key.entity.ts';

/** The newest first. */
export function findApiKeysOf(em: EntityManager, { userId, serviceAccountId }: Subject): Promise<ApiKey[]> {
  const owner = userId === undefined ? { serviceAccount: serviceAccountId ?? '' } : { user: userId };
  return em.find(ApiKey, owner, { orderBy: { createdAt: 'desc', id: 'desc' } });
}

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
