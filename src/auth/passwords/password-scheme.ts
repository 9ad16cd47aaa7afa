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
const ARGON2ID_PARAMETERS: Argon2Parameters = { memory: 19_456, passes: 2, parallelism: 1 };

interface Argon2Parameters {
  readonly memory: number;
  readonly passes: number;
  readonly parallelism: number;
}

const PHC = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$([A-Za-z0-9+/]+)\$[A-Za-z0-9+/]+$/;

export function hashPassword(password: string, settings: SchemeSettings): string {
  const digest = prehash(password, settings.pepper);
  switch (settings.scheme) {
    case 'bcrypt':
      return BCRYPT + bcrypt.hashSync(digest, settings.bcryptCost);
    case 'argon2id':
      return ARGON2ID + formatArgon2id(digest, randomBytes(16), ARGON2ID_PARAMETERS);
  }
}

export function verifyPassword(password: string, stored: string, settings: SchemeSettings): Verdict {
  if (stored.startsWith(BCRYPT)) {
    const hash = stored.slice(BCRYPT.length);
    const matches = bcrypt.compareSync(prehash(password, settings.pepper), hash);
    return { matches, outdated: settings.scheme !== 'bcrypt' || bcrypt.getRounds(hash) !== settings.bcryptCost };
  }
  if (stored.startsWith(ARGON2ID)) {
    return verifyArgon2id(prehash(password, settings.pepper), stored.slice(ARGON2ID.length), settings.scheme);
  }
  if (/^\$2[aby]\$/.test(stored)) {
    return { matches: bcrypt.compareSync(password, stored.replace(/^\$2y\$/, '$2b$')), outdated: true };
  }
  throw new Error('a stored password hash has an unknown scheme');
}

function prehash(password: string, pepper: string): string {
  return createHmac('sha384', pepper).update(password, 'utf8').digest('base64');
}

/** With the parameters that the hash was made with; others than today's make it outdated. */
function verifyArgon2id(digest: string, hash: string, scheme: SchemeName): Verdict {
  const [, memory, passes, parallelism, salt] = PHC.exec(hash) ?? [];
  if (salt === undefined) throw new Error('a stored argon2id hash is malformed');
  const parameters = { memory: Number(memory), passes: Number(passes), parallelism: Number(parallelism) };
  const matches = equal(formatArgon2id(digest, Buffer.from(salt, 'base64'), parameters), hash);
  return { matches, outdated: scheme !== 'argon2id' || !sameParameters(parameters, ARGON2ID_PARAMETERS) };
}

function sameParameters(a: Argon2Parameters, b: Argon2Parameters): boolean {
  return a.memory === b.memory && a.passes === b.passes && a.parallelism === b.parallelism;
}

/** The PHC string format. */
function formatArgon2id(message: string, nonce: Buffer, parameters: Argon2Parameters): string {
  const { memory, passes, parallelism } = parameters;
  const tag = argon2Sync('argon2id', { message, nonce, tagLength: 32, ...parameters });
  return `$argon2id$v=19$m=${memory},t=${passes},p=${parallelism}$${base64(nonce)}$${base64(tag)}`;
}

function base64(bytes: Buffer): string {
  return bytes.toString('base64').replace(/=+$/, '');
}

function equal(a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));
}
