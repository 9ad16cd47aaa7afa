import type { Secret } from '../secrets/secret.ts';

export interface MailSettings {
  /**
   * `smtp://user:password@host:587`, percent-encoded as in any URL; absent: mails become files under DATA_DIR. Nodemailer's options follow as
   * a query, e.g. `?requireTLS=true`, or `?tls.rejectUnauthorized=false` for a certificate of one's own making.
   */
  readonly smtpUrl: Secret | undefined;
  /** RFC 5322 mailbox: an address, or `Name <address>`. */
  readonly from: string;
  /** A folder with templates that replace ours, by their file names. */
  readonly templates: string | undefined;
  /** Where the links in mails lead: `{action}` and `{token}` are filled in. */
  readonly publicUrl: string;
}
