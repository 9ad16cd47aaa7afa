import type { EntityManager } from '@mikro-orm/postgresql';
import { record } from '../audit/audit-log.ts';
import { systemCall } from '../callers/system-call.ts';
import { transaction } from '../database/transaction.ts';
import type { Log } from '../rpc/log.ts';
import { type Tracer, UNTRACED } from '../tracing/tracer.ts';
import { lockUserId } from '../users/user.repository.ts';
import { type ComposeMailDeps, composeMail } from './compose-mail.ts';
import type { Mail } from './mail.entity.ts';
import { claimDueMails, deleteMail, isMailDue, postponeMail } from './mail.repository.ts';
import { isPermanent, leaseEnd, nextAttempt, type SmtpFailure } from './mail-retry-policy.ts';
import type { MailTransport } from './mail-transport.ts';

/** As many as the transport sends at a time, so that no lease runs out in a queue. */
const BATCH = 5;

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
 * mail is sent again when the lease ends.
 */
export async function deliverMails(deps: DeliverMailsDeps, stopping: AbortSignal): Promise<void> {
  while (!stopping.aborted) {
    if (!(await isMailDue(deps.em.fork(), deps.now()))) return;
    const mails = await transaction(deps.em, (em) => claimDueMails(em, deps.now(), leaseEnd(deps.now()), BATCH));
    // All of them, also where one fails: nobody else knows of those under way.
    const outcomes = await Promise.allSettled(mails.map((mail) => deliverTraced(deps, mail)));
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  }
}

/** No call waits for it: a trace of its own. */
function deliverTraced(deps: DeliverMailsDeps, mail: Mail): Promise<void> {
  const { task = UNTRACED } = deps.tracer ?? {};
  return task('deliver mail', () => deliver(deps, mail), {
    'identity.mail.template': mail.template,
    'identity.mail.attempt': mail.attempts,
  });
}

async function deliver(deps: DeliverMailsDeps, mail: Mail): Promise<void> {
  const em = deps.em.fork();
  try {
    const message = await composeMail(em, deps, mail, deps.now());
    const { step = UNTRACED } = deps.tracer ?? {};
    if (message) await step('send mail', () => deps.transport.send(message));
  } catch (error) {
    await retryOrGiveUp(deps, mail, error as SmtpFailure);
    return;
  }
  await deleteMail(em, mail.id);
}

async function retryOrGiveUp(deps: DeliverMailsDeps, mail: Mail, failure: SmtpFailure): Promise<void> {
  const { id, template, attempts } = mail;
  const next = isPermanent(failure) ? undefined : nextAttempt(attempts, deps.now());
  const { code, responseCode } = failure;
  deps.log.warn(next ? 'mail could not be sent' : 'mail given up', { template, attempts, code, responseCode });
  if (next) await postponeMail(deps.em.fork(), id, next);
  else await giveUp(deps, mail, failure);
}

async function giveUp({ em, now }: DeliverMailsDeps, { id, template, userId, attempts }: Mail, { code }: SmtpFailure): Promise<void> {
  const call = { ...systemCall(em), now };
  await transaction(em, async (em) => {
    const metadata = { template, attempts: String(attempts), ...(typeof code === 'string' && { code }) };
    record(em, call, { type: 'mail.failed', ...(userId && (await lockUserId(em, userId)) && { userId }), metadata });
    await deleteMail(em, id);
  });
}
