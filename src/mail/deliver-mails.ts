import type { EntityManager } from '@mikro-orm/postgresql';
import { record } from '../audit/audit-log.ts';
import { SYSTEM } from '../call/system-call.ts';
import { transaction } from '../database/transaction.ts';
import type { Log } from '../observability/log.ts';
import { type Tracer, UNTRACED } from '../observability/tracing/tracer.ts';
import { type ComposeMailDeps, composeMail, findMailSubjects, type MailSubjects } from './compose-mail.ts';
import { type ClaimedMail, claimDueMails, deleteMails, findNextDue, postponeMail } from './mail.repository.ts';
import { isPermanent, leaseEnd, nextAttempt, type SmtpFailure } from './mail-retry-policy.ts';
import type { MailTransport } from './mail-transport.ts';
import { SentMails } from './sent-mails.ts';

export interface DeliverMailsDeps extends ComposeMailDeps {
  readonly em: EntityManager;
  readonly transport: MailTransport;
  readonly now: () => Date;
  readonly log: Log;
  /** Absent: nobody collects spans. */
  readonly tracer: Pick<Tracer, 'step' | 'task'> | undefined;
}

/**
 * Sends the mails that are due, at least once: the row goes after the mail has been sent. A process that dies in between leaves it, and the
 * mail is sent again when the lease ends. Returns when the next one is due.
 */
export async function deliverMails(deps: DeliverMailsDeps, stopping: AbortSignal): Promise<Date | undefined> {
  const em = deps.em.fork();
  const batch = { ...deps, sent: new SentMails(em) };
  for (;;) {
    const due = await findNextDue(em);
    if (stopping.aborted || due === undefined || due > deps.now()) return due;
    // No more than are sent at a time, so that no lease runs out in a queue.
    const mails = await claimDueMails(em, deps.now(), leaseEnd(deps.now()), deps.transport.atATime);
    const subjects = await findMailSubjects(em, deps, mails);
    // All of them, also where one fails: nobody else knows of those under way.
    const outcomes = await Promise.allSettled(mails.map((mail) => deliverTraced(batch, mail, subjects)));
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  }
}

interface Delivery extends DeliverMailsDeps {
  readonly sent: SentMails;
}

/** No call waits for it: a trace of its own. */
function deliverTraced(delivery: Delivery, mail: ClaimedMail, subjects: MailSubjects): Promise<void> {
  const { task = UNTRACED } = delivery.tracer ?? {};
  return task('deliver mail', () => deliver(delivery, mail, subjects), {
    'identity.mail.template': mail.template,
    'identity.mail.attempt': mail.attempts,
  });
}

async function deliver(delivery: Delivery, mail: ClaimedMail, subjects: MailSubjects): Promise<void> {
  try {
    const message = composeMail(delivery, mail, subjects, delivery.now());
    const { step = UNTRACED } = delivery.tracer ?? {};
    if (message) await step('send mail', () => delivery.transport.send(message));
  } catch (error) {
    await retryOrGiveUp(delivery, mail, error as SmtpFailure);
    return;
  }
  await delivery.sent.delete(mail.id);
}

async function retryOrGiveUp(deps: DeliverMailsDeps, mail: ClaimedMail, failure: SmtpFailure): Promise<void> {
  const { id, template, attempts } = mail;
  const next = isPermanent(failure) ? undefined : nextAttempt(attempts, deps.now());
  const { code, responseCode } = failure;
  deps.log.warn(next ? 'mail could not be sent' : 'mail given up', { template, attempts, code, responseCode });
  if (next) await postponeMail(deps.em.fork(), id, next);
  else await giveUp(deps, mail, failure);
}

async function giveUp(
  { em, now }: DeliverMailsDeps,
  { id, template, userId, attempts }: ClaimedMail,
  { code }: SmtpFailure,
): Promise<void> {
  await transaction(em, async (em) => {
    const metadata = { template, attempts: String(attempts), ...(typeof code === 'string' && { code }) };
    record(em, { caller: SYSTEM, now }, { type: 'mail.failed', ...(userId !== null && { userId }), metadata });
    await deleteMails(em, [id]);
  });
}
