import type { EntityManager } from '@mikro-orm/postgresql';
import { PasswordHistory } from './password-history.entity.ts';

/** The latest first. */
export function findPasswordHistory(em: EntityManager, userId: string, limit: number): Promise<PasswordHistory[]> {
  return em.find(PasswordHistory, { user: userId }, { orderBy: { createdAt: 'desc', id: 'desc' }, limit });
}

export function countPasswordHistory(em: EntityManager, userId: string): Promise<number> {
  return em.count(PasswordHistory, { user: userId });
}

/** Stores another hash of the same password. */
export async function replaceInPasswordHistory(em: EntityManager, userId: string, oldHash: string, newHash: string): Promise<void> {
  await em.nativeUpdate(PasswordHistory, { user: userId, passwordHash: oldHash }, { passwordHash: newHash });
}
