/** The number of mails of one kind to one address. */
export interface MailBound {
  /** Seconds between two of them. */
  readonly pause: number;
  readonly perDay: number;
}

const REQUESTED: MailBound = { pause: 60, perDay: 10 };

/** Mails that anybody can have sent to an address that is not theirs, by their templates. All others follow upon what only the user can do. */
const MAIL_BOUNDS: Readonly<Record<string, MailBound>> = {
  'verify-email': REQUESTED,
  'reset-password': REQUESTED,
  'login-code': REQUESTED,
  // No pause: a request voids the link before it, and its own has to come.
  'confirm-email-change': { pause: 0, perDay: 10 },
  'account-locked': { pause: 0, perDay: 10 },
};

/**
 * All other mails to an address that nobody has proven, together: who has signed up with somebody's address can do much that is told there. A user
 * with a proven address is told everything, or an intruder would hide behind a bound.
 */
const UNPROVEN: MailBound = { pause: 0, perDay: 10 };

/** A bound, and the name under which its mails are counted. */
export interface CountedBound extends MailBound {
  readonly name: string;
}

/** Undefined where there is none. */
export function boundOf(template: string, { verified }: { readonly verified: boolean }): CountedBound | undefined {
  const bound = MAIL_BOUNDS[template];
  if (bound) return { ...bound, name: template };
  return verified ? undefined : { ...UNPROVEN, name: 'unproven' };
}

export const DAY_MS = 86_400_000;

/** The number of different addresses to which one sender may have mails sent in an hour. */
export const RECIPIENTS_PER_SENDER = 20;

export const SENDER_WINDOW_MS = 3_600_000;
