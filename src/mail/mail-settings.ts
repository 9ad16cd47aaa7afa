import { z } from 'zod';
import { Secret } from '../secrets/secret.ts';
import { url, type ValuesOf, webUrl } from '../settings/variables.ts';

/** RFC 5322 §3.4, one mailbox: a mail server refuses what is from nobody, or from several, long after the start. */
const sender = z
  .string()
  .regex(/^(?:[^<>\r\n]+ <[^<>\s@,]+@[^<>\s@,]+>|[^<>\s@,]+@[^<>\s@,]+)$/, 'must be an address, or of the form Name <address>');

export const mailVariables = {
  SERVICE_NAME: z.string().max(100, 'must have at most 100 characters').default('identity'),
  SMTP_URL: url('smtp', 'smtps')
    .transform((given) => new Secret(given))
    .optional(),
  MAIL_FROM: sender.default('identity@localhost'),
  MAIL_TEMPLATES: z.string().optional(),
  PUBLIC_URL: webUrl.default('http://localhost:3000/{action}?token={token}'),
};

export interface MailSettings {
  /**
   * `smtp://user:password@host:587`, percent-encoded as in any URL; absent: mails become files under DATA_DIR.
   * Nodemailer's options follow as a query, e.g. `?requireTLS=true`, or `?tls.rejectUnauthorized=false` for a
   * certificate of one's own making.
   */
  readonly smtpUrl: Secret | undefined;
  /** RFC 5322 mailbox: an address, or `Name <address>`. */
  readonly from: string;
  /** A folder with templates that replace ours, by their file names. */
  readonly templates: string | undefined;
  /** The address that links in mails lead to: `{action}` and `{token}` are filled in. */
  readonly publicUrl: string;
}

export function mailSettings(env: ValuesOf<typeof mailVariables>): MailSettings {
  return { smtpUrl: env.SMTP_URL, from: env.MAIL_FROM, templates: env.MAIL_TEMPLATES, publicUrl: env.PUBLIC_URL };
}
