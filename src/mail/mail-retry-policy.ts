/** The time that one attempt may take; another replica tries again after that. */
export const LEASE_SECONDS = 60;

/** Thirteen attempts spread over four and a half hours: a mail server that is rebooted, or greylists, gets its mails. */
const MAX_ATTEMPTS = 13;
const FIRST_PAUSE_SECONDS = 10;
const MAX_PAUSE_SECONDS = 3600;

const later = (now: Date, seconds: number) => new Date(now.getTime() + seconds * 1000);

/** The time until which nobody else tries. */
export const leaseEnd = (now: Date): Date => later(now, LEASE_SECONDS);

/**
 * The time of the next attempt after so many that failed: each pause is twice the one before. Undefined: not any more.
 */
export function nextAttempt(attempts: number, now: Date): Date | undefined {
  if (attempts >= MAX_ATTEMPTS) return undefined;
  return later(now, Math.min(FIRST_PAUSE_SECONDS * 2 ** (attempts - 1), MAX_PAUSE_SECONDS));
}

/** A failure to send a mail, with the answer of the mail server. */
export interface SmtpFailure {
  /** Nodemailer's name of the step that failed. */
  readonly code?: unknown;
  /** The SMTP command that was refused. */
  readonly command?: unknown;
  readonly responseCode?: unknown;
}

/** An address that SMTP has no way to write. */
export const NO_MAILBOX = 'ENOMAILBOX';

/**
 * This recipient is refused for good (RFC 5321 §4.2.1: 5yz). Any other refusal can be put right in time: it is about our password, our own
 * address, or what else a server has against us.
 */
export function isPermanent({ code, command, responseCode }: SmtpFailure): boolean {
  if (code === NO_MAILBOX) return true;
  return code === 'EENVELOPE' && command === 'RCPT TO' && typeof responseCode === 'number' && responseCode >= 500;
}
