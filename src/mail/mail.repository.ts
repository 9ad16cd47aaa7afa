import { type EntityManager, LockMode } from '@mikro-orm/postgresql';
import { Mail } from './mail.entity.ts';

/** Asked all the time, so it costs no transaction. */
export async function isMailDue(em: EntityManager, now: Date): Promise<boolean> {
  const rows = await em.execute<{ due: boolean }[]>('select exists (select from mails where next_attempt_at <= ?) as due', [now]);
  return rows[0]?.due === true;
}

/** Takes mails that are due, each for one attempt: nobody else gets them before the lease ends. Replicas share the work (SKIP LOCKED). */
export async function claimDueMails(em: EntityManager, now: Date, leaseEnd: Date, limit: number): Promise<Mail[]> {
  const mails = await em.find(
    Mail,
    { nextAttemptAt: { $lte: now } },
    { orderBy: { nextAttemptAt: 'asc' }, limit, lockMode: LockMode.PESSIMISTIC_PARTIAL_WRITE },
  );
  for (const mail of mails) {
    mail.attempts++;
    mail.nextAttemptAt = leaseEnd;
  }
  return mails;
}

export async function postponeMail(em: EntityManager, id: string, nextAttemptAt: Date): Promise<void> {
  await em.nativeUpdate(Mail, { id }, { nextAttemptAt });
}

export async function deleteMail(em: EntityManager, id: string): Promise<void> {
  await em.nativeDelete(Mail, { id });
}

/** Of a user who is erased. Returns how many there were. */
export function deleteMailsOfUser(em: EntityManager, userId: string): Promise<number> {
  return em.nativeDelete(Mail, { userId });
}
