/** The number of mails of one kind to one address. */
export interface MailBound {
  /** Seconds between two of them. */
  readonly pause: number;
  readonly perDay: number;
}

const REQUESTED: MailBound = { pause: 60, perDay: 10 };

/** Mails that anybody can have sent to an address that is not theirs, by their templates. All others follow upon what only the user can do. */
export const MAIL_BOUNDS: Readonly<Record<string, MailBound>> = {
  'verify-email': REQUESTED,
  'reset-password': REQUESTED,
  'login-code': REQUESTED,
  // No pause: a request voids the link before it, and its own has to come.
  'confirm-email-change': { pause: 0, perDay: 10 },
  'account-locked': { pause: 0, perDay: 10 },
};

export const DAY_MS = 86_400_000;

/** The number of different addresses to which one sender may have mails sent in an hour. */
export const RECIPIENTS_PER_SENDER = 20;

export const SENDER_WINDOW_MS = 3_600_000;
