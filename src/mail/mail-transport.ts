import { mkdir, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Log } from '../observability/log.ts';
import { NO_MAILBOX } from './mail-retry-policy.ts';
import type { MailContent } from './mail-templates.ts';

/** A mail that is ready to go. */
export interface OutgoingMail extends MailContent {
  /** Of the row: the same for every attempt, so that a mail that came twice can be told (Message-ID). */
  readonly id: string;
  readonly template: string;
  readonly to: string;
}

export interface MailTransport {
  /** The number of mails that it sends at the same time. */
  readonly atATime: number;
  /** Resolves when somebody else is responsible for the mail. */
  send(mail: OutgoingMail): Promise<void>;
  /** Also gives up what is under way. */
  close(): void;
}

/** For one attempt: less than the lease on a mail, or another replica would send it as well. */
const DEADLINE_MS = 45_000;

/** For its steps. A server that says a word now and then keeps within them for ever. */
const TIMEOUTS = { dnsTimeout: 5000, connectionTimeout: 10_000, greetingTimeout: 10_000, socketTimeout: 20_000 };
const CONNECTIONS = 5;
/** Enough for what is queued meanwhile, where many sign up. */
const FILES_AT_A_TIME = 25;

/** Takes 5 MB, also of those who write no mail; and with a mail server, its URL is to be refused at the start. */
const nodemailer = async () => (await import('nodemailer')).default;

/** RFC 3834: no vacation notice is to answer. */
const HEADERS = { 'Auto-Submitted': 'auto-generated' };

function toMessage({ id, to, subject, text, html }: OutgoingMail, from: string) {
  const domain = /@([\w.-]+)>?\s*$/.exec(from)?.[1] ?? 'localhost';
  if (/[<>]/.test(to)) throw Object.assign(new Error('not a mailbox'), { code: NO_MAILBOX });
  return {
    from,
    // Not as text, which is a list: of "a,b@example.com", one half would get the mail.
    to: { name: '', address: to },
    subject,
    text,
    html,
    messageId: `<${id}@${domain}>`,
    headers: HEADERS,
    disableFileAccess: true,
    disableUrlAccess: true,
  };
}

/** Over SMTP; STARTTLS where the server offers it, `smtps://` for TLS from the first byte, `?requireTLS=true` for nothing less. */
export async function smtpTransport(url: string, from: string, deadlineMs = DEADLINE_MS): Promise<MailTransport> {
  const transport = (await nodemailer()).createTransport({ url, pool: true, maxConnections: CONNECTIONS, ...TIMEOUTS });
  return {
    atATime: CONNECTIONS,
    send: async (mail) => void (await transport.sendMail({ ...toMessage(mail, from), signal: AbortSignal.timeout(deadlineMs) })),
    close: () => transport.close({ force: true }),
  };
}

/** Without a mail server: each mail is a file that every mail program opens, and the log names it. */
export function fileTransport(folder: string, from: string, log: Log): MailTransport {
  return {
    atATime: FILES_AT_A_TIME,
    async send(mail) {
      const transport = (await nodemailer()).createTransport({ streamTransport: true, buffer: true });
      const { message } = await transport.sendMail(toMessage(mail, from));
      const file = path.join(folder, `${new Date().toISOString().replaceAll(':', '-')}-${mail.template}-${mail.id}.eml`);
      const write = () => writeFile(`${file}.part`, message as Buffer, { mode: 0o600 });
      await write().catch(async (error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') throw error;
        await mkdir(folder, { recursive: true, mode: 0o700 });
        await write();
      });
      await rename(`${file}.part`, file);
      log.info('mail written to a file', { file });
    },
    close: () => undefined,
  };
}
