import { createHmac, hash, randomBytes } from 'node:crypto';

/*
 * A refresh token is `<family>.<secret>`, each 256 random bits in base64url. All tokens of a session have its family (RFC 9700 §4.14.2), by
 * which the session is found; the secret is another one after each refresh.
 */

const BYTES = 32;

/** The stored form of a refresh token, its SHA-256: with 256 random bits there is nothing to guess. */
export function hashRefreshToken(token: string): Buffer {
  return hash('sha256', token, 'buffer');
}

/** The stored form of the family of a token, for which the same holds. */
export function hashFamilyOf(token: string): Buffer {
  return hash('sha256', familyOf(token), 'buffer');
}

/** The hashes that a session keeps of the token that it begins with. */
export function storedOf(token: string): { readonly refreshFamilyHash: Buffer; readonly refreshHash: Buffer } {
  return { refreshFamilyHash: hashFamilyOf(token), refreshHash: hashRefreshToken(token) };
}

export function createRefreshToken(): string {
  return `${randomPart()}.${randomPart()}`;
}

export function createSuccessorSalt(): Buffer {
  return randomBytes(BYTES);
}

/**
 * The token that follows, of the same family. Derived from the token before it and a random salt that the session keeps, so that the same
 * successor can be given again to whoever presents the token before it, although no token is stored: the database alone does not yield it.
 */
export function successorOf(token: string, salt: Buffer): string {
  return `${familyOf(token)}.${createHmac('sha256', salt).update(token).digest('base64url')}`;
}

/** The text before the first dot, or all of it. */
function familyOf(token: string): string {
  const [family = token] = token.split('.', 1);
  return family;
}

function randomPart(): string {
  return randomBytes(BYTES).toString('base64url');
}
