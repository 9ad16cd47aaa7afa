import { createHmac, hash, randomBytes } from 'node:crypto';

/*
 * A refresh token is `<family>.<secret>.<checksum>` in base64url. Family and secret are 256 random bits each. All tokens of a session have its
 * family (RFC 9700 §4.14.2), by which the session is found; the secret is another one after each refresh. The checksum tells a token that was
 * issued from one that was mutilated or made up (ADR 22). Tokens from before that decision have none.
 */

const BYTES = 32;
/** 128 bits: nobody meets it by chance. */
const CHECKSUM_LENGTH = 22;

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
  return withChecksum(randomPart(), randomPart());
}

export function createSuccessorSalt(): Buffer {
  return randomBytes(BYTES);
}

/**
 * The token that follows, of the same family. Derived from the token before it and a random salt that the session keeps, so that the same
 * successor can be given again to whoever presents the token before it, although no token is stored: the database alone does not yield it.
 */
export function successorOf(token: string, salt: Buffer): string {
  return withChecksum(familyOf(token), createHmac('sha256', salt).update(token).digest('base64url'));
}

/**
 * Follows a token to the current one of its session, by the salts of the latest rotations, the newest first. Returns the current one and how many
 * rotations it is away; undefined for a token that does not lead there.
 */
export function currentFrom(
  token: string,
  currentHash: Buffer,
  salts: readonly Buffer[],
): { readonly current: string; readonly age: number } | undefined {
  const isCurrent = (candidate: string) => hashRefreshToken(candidate).equals(currentHash);
  if (isCurrent(token)) return { current: token, age: 0 };
  for (let age = 1; age <= salts.length; age++) {
    const successor = salts.slice(0, age).reduceRight(successorOf, token);
    const current = [successor, withoutChecksum(successor)].find(isCurrent);
    if (current !== undefined) return { current, age };
  }
  return undefined;
}

/** The form in which the same token was issued before there were checksums. */
function withoutChecksum(token: string): string {
  return token.slice(0, token.lastIndexOf('.'));
}

/**
 * Tells whether a token is whole. Its checksum takes the family, so it could be made by nobody but the service and who has held a token of the
 * session; who has may end the session anyway.
 */
export function hasChecksum(token: string): boolean {
  const [family = '', secret = ''] = token.split('.', 2);
  return token === withChecksum(family, secret);
}

function withChecksum(family: string, secret: string): string {
  const checksum = createHmac('sha256', family).update(secret).digest('base64url').slice(0, CHECKSUM_LENGTH);
  return `${family}.${secret}.${checksum}`;
}

/** The text before the first dot, or all of it. */
function familyOf(token: string): string {
  const [family = token] = token.split('.', 1);
  return family;
}

function randomPart(): string {
  return randomBytes(BYTES).toString('base64url');
}
