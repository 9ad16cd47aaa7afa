import type { EntityManager } from '@mikro-orm/postgresql';
import { rfc3339 } from '../../database/moments.ts';
import type { CleanupStep } from '../../jobs/cleanup.ts';
import type { PersonalData } from '../../users/personal-data.ts';
import type { User } from '../../users/user.entity.ts';
import { EmailChange } from './email-change.entity.ts';

export interface NewEmailChange {
  readonly id: string;
  readonly user: User;
  readonly newEmail: string;
  readonly confirmHash: Buffer;
  readonly revertHash: Buffer;
  readonly requestedAt: Date;
  readonly expiresAt: Date;
}

/** The stored form of the secret of one of the two links. */
export type LinkHash = { readonly confirmHash: Buffer } | { readonly revertHash: Buffer };

/** A change to be inserted at the flush. */
export function addEmailChange(em: EntityManager, change: NewEmailChange): void {
  em.create(EmailChange, change);
}

/** The id of the user whose email the link is about. Not an entity: it is found again under the lock on the user. */
export async function findUserIdByLink(em: EntityManager, hash: LinkHash): Promise<string | undefined> {
  const [column, value] = 'confirmHash' in hash ? ['confirm_hash', hash.confirmHash] : ['revert_hash', hash.revertHash];
  const rows = await em.execute<{ id: string }[]>(`select user_id as id from email_changes where ${column} = ?`, [value]);
  return rows[0]?.id;
}

/** The user is locked, so that nobody else writes the change. */
export function findChangeByLink(em: EntityManager, hash: LinkHash): Promise<EmailChange | null> {
  return em.findOne(EmailChange, hash);
}

/** Deletes the change that has not been confirmed; returns how many there were. */
export function deletePendingChange(em: EntityManager, userId: string): Promise<number> {
  return em.nativeDelete(EmailChange, { user: userId, confirmedAt: null });
}

/** Deletes the changes that have been confirmed, from then on; returns how many there were. */
export function deleteConfirmedChanges(em: EntityManager, userId: string, from = new Date(0)): Promise<number> {
  return em.nativeDelete(EmailChange, { user: userId, confirmedAt: { $gte: from } });
}

/** A change as the mails about it need it: they are many, so it is no entity. */
export type MailedChange = Pick<EmailChange, 'id' | 'newEmail' | 'expiresAt'> & { readonly oldEmail: string | null };

export async function findMailedChanges(em: EntityManager, ids: readonly string[]): Promise<MailedChange[]> {
  if (ids.length === 0) return [];
  const rows = await em.execute<(Omit<MailedChange, 'expiresAt'> & { readonly expiresAt: string })[]>(
    `select id, new_email as "newEmail", old_email as "oldEmail", expires_at as "expiresAt"
     from email_changes where id = any(cast(? as uuid[]))`,
    [`{${ids.join(',')}}`],
  );
  return rows.map((row) => ({ ...row, expiresAt: new Date(row.expiresAt) }));
}

/** Deletes up to `limit` changes whose links nobody can use any more. */
async function deleteExpiredChanges(em: EntityManager, before: Date, limit: number): Promise<number> {
  const deleted = await em.execute(
    'delete from email_changes where id in (select id from email_changes where expires_at < ? limit ? for update skip locked) returning 1',
    [before, limit],
  );
  return deleted.length;
}

/** Exports the addresses; neither the ids nor the hashes, to which the secrets hang. */
function exportEmailChanges(em: EntityManager, userId: string, limit: number): Promise<Record<string, string | null>[]> {
  return em.execute(
    `select new_email, old_email, ${rfc3339('requested_at')}, ${rfc3339('confirmed_at')}, ${rfc3339('expires_at')}
     from email_changes where user_id = ? order by email_changes.requested_at limit ?`,
    [userId, limit],
  );
}

export const emailChangePersonalData: readonly PersonalData[] = [
  { kind: 'email_changes', export: exportEmailChanges, erase: (em, userId) => em.nativeDelete(EmailChange, { user: userId }) },
];

export const emailChangeCleanup: readonly CleanupStep[] = [{ name: 'expired_email_changes', run: deleteExpiredChanges }];
