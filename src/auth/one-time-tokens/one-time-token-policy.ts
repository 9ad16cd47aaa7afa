export const TOKEN_PURPOSES = ['email_verification', 'password_reset', 'login_code'] as const;

export type TokenPurpose = (typeof TOKEN_PURPOSES)[number];

/** Seconds (ASVS 6.4.1, 6.5.5): what is more dangerous lives shorter. */
export const TOKEN_TTL: Readonly<Record<TokenPurpose, number>> = {
  email_verification: 24 * 3600,
  password_reset: 30 * 60,
  login_code: 10 * 60,
};

/**
 * A code has 8 digits, few enough to be guessed (ASVS 6.6.3). A reset link has 256 bits; but who holds one learns whether a password is one of the
 * latest, and may guess those.
 */
export const MAX_ATTEMPTS = 5;

export function tokenExpiry(purpose: TokenPurpose, now: Date): Date {
  return new Date(now.getTime() + TOKEN_TTL[purpose] * 1000);
}

export interface TokenState {
  readonly purpose: TokenPurpose;
  readonly createdAt: Date;
  readonly failedAttempts: number;
}

/**
 * Tells whether the same token is mailed again where another one is asked for: one that is younger than half its life, and none whose attempts are
 * used up. So nobody voids a mail by asking for the next one, each mail is good for at least half a life, and a user has at most three live
 * tokens of a purpose (ADR 19).
 */
export function isFresh({ purpose, createdAt, failedAttempts }: TokenState, now: Date): boolean {
  return failedAttempts < MAX_ATTEMPTS && now.getTime() - createdAt.getTime() < (TOKEN_TTL[purpose] * 1000) / 2;
}
