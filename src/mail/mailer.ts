import path from 'node:path';
import { runPeriodically } from '../concurrency/periodic-task.ts';
import type { ChangeTail } from '../events/change-tail.ts';
import { consumeEvents } from '../events/consume-events.ts';
import { Bell } from './bell.ts';
import { type DeliverMailsDeps, deliverMails } from './deliver-mails.ts';
import type { MailSettings } from './mail-settings.ts';
import { MailTemplates } from './mail-templates.ts';
import { fileTransport, type MailTransport, smtpTransport } from './mail-transport.ts';
import { isToldByMail, type MailBounds, queueMails } from './queue-mails.ts';

/** Changes that follow upon others gather for so long before they are turned into mails: a hundred take as many statements as one. */
const GATHER_MS = 1000;

/**
 * The time in which the first change is turned into a mail, and a mail that is due is sent. To find none costs nothing.
 */
const BEAT_MS = 100;

/**
 * The time in which mails under way have to be sent when the service stops. The first service that comes sends the
 * others.
 */
const STOP_MS = 5000;

export interface MailerSettings {
  readonly mail: MailSettings;
  readonly serviceName: string;
  /** Mails become files in its folder `mail` where there is no server to send them. */
  readonly dataDir: string;
}

export type MailerResources = Omit<DeliverMailsDeps, 'templates' | 'transport' | 'serviceName' | 'publicUrl'> & {
  readonly tail: Pick<ChangeTail, 'onEvent'>;
  readonly bounds: MailBounds;
};

/**
 * Gets ready to send mails, before the tail of the events starts; what comes back starts that, and gives back what stops it, after the mails
 * under way, unless a mail server keeps them.
 */
export async function openMailer(
  settings: MailerSettings,
  { tail, ...resources }: MailerResources,
  gatherMs = GATHER_MS,
): Promise<() => () => Promise<void>> {
  const templates = await MailTemplates.load(settings.mail.templates);
  const transport = await transportOf(settings, resources);
  const changes = new Bell(gatherMs);
  tail.onEvent(({ type }) => {
    if (isToldByMail(type)) changes.ring();
  });
  const { serviceName, mail } = settings;
  return () => start({ ...resources, templates, transport, serviceName, publicUrl: mail.publicUrl }, changes);
}

function start(deps: DeliverMailsDeps & Pick<MailerResources, 'bounds'>, changes: Bell): () => Promise<void> {
  const { em, log, transport, now } = deps;
  const handle = queueMails(deps);
  const queued = new Bell();
  let nextDue: Date | undefined;
  const queueAll = async (stopping: AbortSignal) => {
    while (!stopping.aborted && (await consumeEvents(em, 'mail', handle)) > 0) queued.ring();
  };
  const deliverAll = async (stopping: AbortSignal) => {
    nextDue = await deliverMails(deps, stopping);
  };
  const queueing = runPeriodically(
    (stopping) => changes.answer(() => queueAll(stopping)),
    BEAT_MS,
    (error) => log.warn('events could not be turned into mails', nameOf(error)),
  );
  const delivering = runPeriodically(
    (stopping) => {
      if (nextDue && nextDue <= now()) queued.ring();
      return queued.answer(() => deliverAll(stopping));
    },
    BEAT_MS,
    (error) => log.warn('mails could not be taken from the queue', nameOf(error)),
  );
  return async () => {
    const timer = setTimeout(transport.close, STOP_MS);
    await Promise.all([queueing(), delivering()]);
    clearTimeout(timer);
    transport.close();
  };
}

/** Its message may quote what the database holds. */
function nameOf(error: unknown): object {
  const { name, code } = error as { readonly name?: unknown; readonly code?: unknown };
  return { name, code };
}

async function transportOf({ mail, dataDir }: MailerSettings, { log }: Pick<MailerResources, 'log'>): Promise<MailTransport> {
  if (mail.smtpUrl) return smtpTransport(mail.smtpUrl.reveal(), mail.from);
  return fileTransport(path.resolve(dataDir, 'mail'), mail.from, log);
}
