import type { EntityManager } from '@mikro-orm/postgresql';
import { rfc3339 } from '../database/moments.ts';
import type { PersonalData } from '../users/personal-data.ts';
import { Mail } from './mail.entity.ts';

/** A mail to be queued; due at once. */
export type NewMail = Pick<Mail, 'template' | 'data'> & { readonly userId: string | null };

export async function insertMails(em: EntityManager, mails: readonly NewMail[], now: Date): Promise<void> {
  await em.execute(
    `insert into mails (template, user_id, data, next_attempt_at, created_at)
     select template, "userId", data, ?, ? from json_to_recordset(?) as given (template text, "userId" uuid, data jsonb)`,
    [now, now, JSON.stringify(mails)],
  );
}

/**
 * The time at which the next mail is due; undefined where there is none. It is asked again and again, so it costs no
 * transaction.
 */
export async function findNextDue(em: EntityManager): Promise<Date | undefined> {
  const rows = await em.execute<{ due: string | null }[]>('select min(next_attempt_at) as due from mails');
  return rows[0]?.due ? new Date(rows[0].due) : undefined;
}

/** A mail that is being sent: one of many, so it is no entity. */
export type ClaimedMail = Pick<Mail, 'id' | 'template' | 'data' | 'attempts'> & { readonly userId: string | null };

/**
 * Takes mails that are due, each for one attempt: nobody else gets them before the lease ends. Replicas share the work (SKIP LOCKED). One
 * statement that is its own transaction, which need not wait for the disk: a database that forgets it has the mail sent once more.
 */
export function claimDueMails(em: EntityManager, now: Date, leaseEnd: Date, limit: number): Promise<ClaimedMail[]> {
  return em.execute<ClaimedMail[]>(
    `with due as materialized (
       select id from mails where next_attempt_at <= ? and set_config('synchronous_commit', 'off', true) is not null
       order by next_attempt_at limit ? for update skip locked
     )
     update mails set attempts = attempts + 1, next_attempt_at = ? from due where mails.id = due.id
     returning mails.id, template, user_id as "userId", data, attempts`,
    [now, limit, leaseEnd],
  );
}

export async function postponeMail(em: EntityManager, id: string, nextAttemptAt: Date): Promise<void> {
  await em.nativeUpdate(Mail, { id }, { nextAttemptAt });
}

export async function deleteMails(em: EntityManager, ids: readonly string[]): Promise<void> {
  await em.execute('delete from mails where id = any(cast(? as uuid[]))', [`{${ids.join(',')}}`]);
}

/** The mails that wait to be sent to a user; what stands in them comes from elsewhere. */
function exportMails(em: EntityManager, userId: string, limit: number): Promise<Record<string, string | number>[]> {
  return em.execute(
    `select template, attempts, ${rfc3339('created_at')}, ${rfc3339('next_attempt_at')}
     from mails where user_id = ? order by mails.created_at, id limit ?`,
    [userId, limit],
  );
}

export const mailPersonalData: readonly PersonalData[] = [
  { kind: 'mails', export: exportMails, erase: (em, userId) => em.nativeDelete(Mail, { userId }) },
];
