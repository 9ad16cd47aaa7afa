export const TOKEN_PURPOSES = ['email_verification', 'password_reset', 'login_code'] as const;

export type TokenPurpose = (typeof TOKEN_PURPOSES)[number];

/** Seconds (ASVS 6.4.1, 6.5.5): what is more dangerous lives shorter. */
export const TOKEN_TTL: Readonly<Record<TokenPurpose, number>> = {
  email_verification: 24 * 3600,
  password_reset: 30 * 60,
  login_code: 10 * 60,
};

/** A code has 8 digits, few enough to be guessed (ASVS 6.6.3); the tokens have 256 bits. */
export const MAX_CODE_ATTEMPTS = 5;

export function tokenExpiry(purpose: TokenPurpose, now: Date): Date {
  return new Date(now.getTime() + TOKEN_TTL[purpose] * 1000);
}
