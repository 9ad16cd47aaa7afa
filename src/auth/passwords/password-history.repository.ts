import type { EntityManager } from '@mikro-orm/postgresql';
import { User } from '../../users/user.entity.ts';
import { PasswordHistory } from './password-history.entity.ts';

/** The latest first. */
export function findPasswordHistory(em: EntityManager, userId: string, limit: number): Promise<PasswordHistory[]> {
  return em.find(PasswordHistory, { user: userId }, { orderBy: { createdAt: 'desc', id: 'desc' }, limit });
}

/** The hashes of the latest passwords, the current one first: that may have been brought along without a history. */
export async function findLatestHashes(em: EntityManager, userId: string, limit: number): Promise<string[]> {
  // Not in the unit of work: what reads the user later has to see what is stored then.
  const user = await em.findOne(User, { id: userId }, { fields: ['passwordHash'], disableIdentityMap: true });
  const history = await findPasswordHistory(em, userId, limit);
  const hashes = [user?.passwordHash, ...history.map(({ passwordHash }) => passwordHash)].filter((hash) => hash != null);
  return [...new Set(hashes)].slice(0, limit);
}

export function countPasswordHistory(em: EntityManager, userId: string): Promise<number> {
  return em.count(PasswordHistory, { user: userId });
}

/** Stores another hash of the same password. */
export async function replaceInPasswordHistory(em: EntityManager, userId: string, oldHash: string, newHash: string): Promise<void> {
  await em.nativeUpdate(PasswordHistory, { user: userId, passwordHash: oldHash }, { passwordHash: newHash });
}
