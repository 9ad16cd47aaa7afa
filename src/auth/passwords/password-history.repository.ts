import type { EntityManager } from '@mikro-orm/postgresql';
import { rfc3339 } from '../../database/moments.ts';
import type { PersonalData } from '../../users/personal-data.ts';
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

/** Forgets the passwords of a user, for whom the one of now is none any more. */
export async function deletePasswordHistory(em: EntityManager, userId: string): Promise<void> {
  await em.nativeDelete(PasswordHistory, { user: userId });
}

/** Stores another hash of the same password. */
export async function replaceInPasswordHistory(em: EntityManager, userId: string, oldHash: string, newHash: string): Promise<void> {
  await em.nativeUpdate(PasswordHistory, { user: userId, passwordHash: oldHash }, { passwordHash: newHash });
}

/** Exports the times at which a user has chosen a password; the hashes are nobody's to see. */
function exportPasswordHistory(em: EntityManager, userId: string, limit: number): Promise<Record<string, string>[]> {
  return em.execute(
    `select ${rfc3339('created_at')} from password_history where user_id = ? order by password_history.created_at limit ?`,
    [userId, limit],
  );
}

export const passwordPersonalData: readonly PersonalData[] = [
  { kind: 'password_history', export: exportPasswordHistory, erase: (em, userId) => em.count(PasswordHistory, { user: userId }) },
];
