/** Seconds in which the link to the new address is good: as long as the one that verifies an address. */
export const EMAIL_CHANGE_TTL = 24 * 3600;

/** Seconds in which the link to the old address undoes a change: somebody who is away for a week still comes back to it. */
export const REVERT_TTL = 7 * 86_400;

/** A change of the email, as far as its links depend on it. */
export interface EmailChangeState {
  readonly newEmail: string;
  readonly oldEmail?: string | null;
  readonly requestedAt: Date;
  readonly confirmedAt?: Date | null;
  /** The end of the link to the new address; after the change, of the one to the old address. */
  readonly expiresAt: Date;
}

/**
 * - `change`: the link is good, and nobody has used it.
 * - `repeat`: it has changed the email, which stands: mail clients open links before their readers do, and an answer gets lost.
 * - `refused`: it is too late, or the user has another email since.
 */
export type EmailChangeDecision = 'change' | 'repeat' | 'refused';

/** Decides on the link to the new address. */
export function decideEmailChange(change: EmailChangeState, email: string, now: Date): EmailChangeDecision {
  if (now >= changeExpiry(change.requestedAt)) return 'refused';
  if (change.confirmedAt == null) return 'change';
  return change.newEmail === email ? 'repeat' : 'refused';
}

/** The email that the link to the old address restores, and the moment from which on changes are undone; undefined where it is not good. */
export function decideRevert({ oldEmail, confirmedAt, expiresAt }: EmailChangeState, now: Date): { email: string; from: Date } | undefined {
  return oldEmail == null || confirmedAt == null || now >= expiresAt ? undefined : { email: oldEmail, from: confirmedAt };
}

export function changeExpiry(requestedAt: Date): Date {
  return new Date(requestedAt.getTime() + EMAIL_CHANGE_TTL * 1000);
}

export function revertExpiry(confirmedAt: Date): Date {
  return new Date(confirmedAt.getTime() + REVERT_TTL * 1000);
}
