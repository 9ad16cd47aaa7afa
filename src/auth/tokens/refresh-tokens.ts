import { createHmac, hash, randomBytes } from 'node:crypto';

const BYTES = 32;

/** What is stored of a refresh token. It has 256 random bits, so a fast hash is enough: there is nothing to guess. */
export function hashRefreshToken(token: string): Buffer {
  return hash('sha256', token, 'buffer');
}

export function createRefreshToken(): string {
  return randomBytes(BYTES).toString('base64url');
}

export function createSuccessorSalt(): Buffer {
  return randomBytes(BYTES);
}

/**
 * The token that follows. Derived from the token before it and a random salt that the session keeps, so that the same successor can be
 * given again to whoever presents the token before it, although no token is stored: the database alone does not yield it.
 */
export function successorOf(token: string, salt: Buffer): string {
  return createHmac('sha256', salt).update(token).digest('base64url');
}
