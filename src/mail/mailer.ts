import path from 'node:path';
import type { Config } from '../config.ts';
import { consumeEvents } from '../events/consume-events.ts';
import { repeat } from '../repeat.ts';
import { type DeliverMailsDeps, deliverMails } from './deliver-mails.ts';
import { MailTemplates } from './mail-templates.ts';
import { fileTransport, type MailTransport, smtpTransport } from './mail-transport.ts';
import { queueMails } from './queue-mails.ts';

/** How soon a change is told by mail, at the latest. */
const PAUSE_MS = 500;

/** How long mails under way may take when the service stops. What is not sent by then is tried again, by whoever comes first. */
const STOP_MS = 5000;

export type MailerParts = Omit<DeliverMailsDeps, 'templates' | 'transport' | 'serviceName' | 'publicUrl'>;

/**
 * Gets ready to send mails; what comes back starts that, and gives back what stops it, after the mails under way, unless a mail server keeps
 * them.
 */
export async function openMailer(config: Config, parts: MailerParts): Promise<() => () => Promise<void>> {
  const templates = await MailTemplates.load(config.mail.templates);
  const transport = await transportOf(config, parts);
  return () => start({ ...parts, templates, transport, serviceName: config.serviceName, publicUrl: config.mail.publicUrl });
}

function start(deps: DeliverMailsDeps): () => Promise<void> {
  const { em, now, tokens, log, transport } = deps;
  const handle = queueMails({ tokens, now });
  const queueing = repeat(
    async (stopping) => {
      while (!stopping.aborted && (await consumeEvents(em, 'mail', handle)) > 0);
    },
    PAUSE_MS,
    (error) => log.warn('events could not be turned into mails', nameOf(error)),
  );
  const delivering = repeat(
    (stopping) => deliverMails(deps, stopping),
    PAUSE_MS,
    (error) => log.warn('mails could not be taken from the queue', nameOf(error)),
  );
  return async () => {
    const patience = setTimeout(transport.close, STOP_MS);
    await Promise.all([queueing(), delivering()]);
    clearTimeout(patience);
    transport.close();
  };
}

/** Its message may quote what the database holds. */
function nameOf(error: unknown): object {
  const { name, code } = error as { readonly name?: unknown; readonly code?: unknown };
  return { name, code };
}

async function transportOf({ mail, dataDir }: Config, { log }: MailerParts): Promise<MailTransport> {
  if (mail.smtpUrl) return smtpTransport(mail.smtpUrl.reveal(), mail.from);
  return fileTransport(path.resolve(dataDir, 'mail'), mail.from, log);
}
