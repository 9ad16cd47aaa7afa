import { argon2Sync, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import bcrypt from 'bcrypt';

/**
 * How a password is turned into what is stored, and checked against it. A stored value names its scheme:
 *
 *   bcrypt-hmac-sha384:$2b$12$…                ours
 *   argon2id-hmac-sha384:$argon2id$v=19$…      ours
 *   $2b$12$…                                   a plain bcrypt hash, brought along from another system
 *
 * Ours are fed with base64(HMAC-SHA384(pepper, password)): bcrypt silently ignores everything after byte 72, and stops at a NUL; 64
 * characters of base64 have neither. These functions block for long; they run in the hash pool only.
 */
export type SchemeName = 'bcrypt' | 'argon2id';

export interface SchemeSettings {
  readonly scheme: SchemeName;
  readonly bcryptCost: number;
  readonly pepper: string;
}

export interface Verdict {
  readonly matches: boolean;
  /** Not what would be stored today: another scheme or other parameters. */
  readonly outdated: boolean;
}

const BCRYPT = 'bcrypt-hmac-sha384:';
const ARGON2ID = 'argon2id-hmac-sha384:';

/** OWASP Password Storage Cheat Sheet: 19 MiB, two passes, one lane. */
const ARGON2ID_PARAMETERS = { memory: 19_456, passes: 2, parallelism: 1, tagLength: 32 } as const;

export function hashPassword(password: string, settings: SchemeSettings): string {
  const digest = prehash(password, settings.pepper);
  switch (settings.scheme) {
    case 'bcrypt':
      return BCRYPT + bcrypt.hashSync(digest, settings.bcryptCost);
    case 'argon2id':
      return ARGON2ID + formatArgon2id(randomBytes(16), digest);
  }
}

export function verifyPassword(password: string, stored: string, settings: SchemeSettings): Verdict {
  if (stored.startsWith(BCRYPT)) {
    const hash = stored.slice(BCRYPT.length);
    const matches = bcrypt.compareSync(prehash(password, settings.pepper), hash);
    return { matches, outdated: settings.scheme !== 'bcrypt' || bcrypt.getRounds(hash) !== settings.bcryptCost };
  }
  if (stored.startsWith(ARGON2ID)) {
    const hash = stored.slice(ARGON2ID.length);
    const expected = formatArgon2id(saltOf(hash), prehash(password, settings.pepper));
    return { matches: equal(expected, hash), outdated: settings.scheme !== 'argon2id' };
  }
  if (/^\$2[aby]\$/.test(stored)) {
    return { matches: bcrypt.compareSync(password, stored.replace(/^\$2y\$/, '$2b$')), outdated: true };
  }
  throw new Error('a stored password hash has an unknown scheme');
}

function prehash(password: string, pepper: string): string {
  return createHmac('sha384', pepper).update(password, 'utf8').digest('base64');
}

/** The PHC string format. */
function formatArgon2id(salt: Buffer, message: string): string {
  const { memory, passes, parallelism } = ARGON2ID_PARAMETERS;
  const tag = argon2Sync('argon2id', { message, nonce: salt, ...ARGON2ID_PARAMETERS });
  return `$argon2id$v=19$m=${memory},t=${passes},p=${parallelism}$${base64(salt)}$${base64(tag)}`;
}

function saltOf(phc: string): Buffer {
  return Buffer.from(phc.split('$')[4] ?? '', 'base64');
}

function base64(bytes: Buffer): string {
  return bytes.toString('base64').replace(/=+$/, '');
}

function equal(a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));
}
