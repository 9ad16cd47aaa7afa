import { argon2, createHmac, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import bcrypt from 'bcrypt';
import { UnusableHash } from './schemes/foreign-hash.ts';
import { readForeignHash } from './schemes/foreign-schemes.ts';

/**
 * The scheme by which a password is turned into its stored value, and checked against it. A stored value names its
 * scheme:
 *
 *   bcrypt-hmac-sha384:$2b$12$…                ours
 *   argon2id-hmac-sha384:$argon2id$v=19$…      ours
 *   $2b$12$…, $scrypt$…, pbkdf2_sha256$…       brought along from another system, see schemes/
 *
 * Ours are fed with base64(HMAC-SHA384(pepper, NFC(password))): bcrypt silently ignores everything after byte 72, and stops
 * at a NUL; 64 characters of base64 have neither. Keyboards differ in how they write an accent (macOS composes others than
 * Windows does), and NFC is one form for all (NIST SP 800-63B §3.1.1.2). These functions take a thread of Node's pool for long: only the hash
 * pool calls them, which knows how many it can take.
 */
export type SchemeName = 'bcrypt' | 'argon2id';

export interface SchemeSettings {
  readonly scheme: SchemeName;
  readonly bcryptCost: number;
  readonly pepper: string;
}

export interface Verdict {
  readonly matches: boolean;
  /** Not what would be stored today: another scheme, other parameters, or another Unicode form of the password. */
  readonly outdated: boolean;
}

/** The name of ours, before what others write as well. */
const OWN = /^(?:bcrypt-hmac-sha384:(?=\$2b\$)|argon2id-hmac-sha384:(?=\$argon2id\$))/;

/** OWASP Password Storage Cheat Sheet: 19 MiB, two passes, one lane. */
const ARGON2ID_PARAMETERS = { memory: 19_456, passes: 2, parallelism: 1 };

const derive = promisify(argon2);

/** As much as the database holds. */
const MAX_LENGTH = 512;

export async function hashPassword(password: string, settings: SchemeSettings): Promise<string> {
  const digest = prehash(composed(password), settings.pepper);
  switch (settings.scheme) {
    case 'bcrypt':
      return `bcrypt-hmac-sha384:${await bcrypt.hash(digest, bcrypt.genSaltSync(settings.bcryptCost))}`;
    case 'argon2id':
      return beginning(settings) + (await argon2id(digest, randomBytes(16)));
  }
}

/** A stored value that was understood. */
export interface StoredHash {
  /** Takes a thread for as long as its parameters say; twice as long for a password that is not in NFC, unless it matches. */
  verify(password: string): Promise<Verdict>;
}

/** Throws an UnusableHash for a value that cannot be compared with, or must not be because it would cost too much. */
export function readStoredHash(stored: string, settings: SchemeSettings): StoredHash {
  if (stored.length > MAX_LENGTH) throw new UnusableHash(`must have at most ${MAX_LENGTH} characters`);
  const hash = readForeignHash(stored.replace(OWN, ''));
  if (!OWN.test(stored)) return { verify: (password) => verifySpellings(password, (spelling) => hash.matches(spelling), true) };
  const outdated = !stored.startsWith(beginning(settings));
  return { verify: (password) => verifySpellings(password, (spelling) => hash.matches(prehash(spelling, settings.pepper)), outdated) };
}

/**
 * Compares a password in NFC, and then as it was typed: hashes of other systems, and ours from before NFC was the rule, were made of that.
 * One that matches only so is outdated.
 */
async function verifySpellings(password: string, matches: (spelling: string) => Promise<boolean>, outdated: boolean): Promise<Verdict> {
  const normal = composed(password);
  if (await matches(normal)) return { matches: true, outdated };
  return { matches: password !== normal && (await matches(password)), outdated: true };
}

/** The reason why a hash that was made elsewhere cannot be stored; undefined where it can. */
export function problemOfHash(stored: string): string | undefined {
  try {
    readStoredHash(stored, ANY);
    return undefined;
  } catch (error) {
    if (error instanceof UnusableHash) return error.message;
    throw error;
  }
}

/** Any settings will do: they make no difference to whether a value can be read. */
const ANY: SchemeSettings = { scheme: 'bcrypt', bcryptCost: 12, pepper: '' };

/** A value as it would be stored today, of which no password is known. */
export function unmatchedHash(settings: SchemeSettings): string {
  const rest = settings.scheme === 'bcrypt' ? 'u'.repeat(53) : `${base64(randomBytes(16))}$${base64(randomBytes(32))}`;
  return beginning(settings) + rest;
}

/** The beginning of all values that are stored today: scheme and parameters. */
function beginning({ scheme, bcryptCost }: SchemeSettings): string {
  if (scheme === 'bcrypt') return `bcrypt-hmac-sha384:$2b$${String(bcryptCost).padStart(2, '0')}$`;
  const { memory, passes, parallelism } = ARGON2ID_PARAMETERS;
  return `argon2id-hmac-sha384:$argon2id$v=19$m=${memory},t=${passes},p=${parallelism}$`;
}

function composed(password: string): string {
  return password.normalize('NFC');
}

function prehash(password: string, pepper: string): string {
  return createHmac('sha384', pepper).update(password, 'utf8').digest('base64');
}

/** Salt and hash of the PHC string format. */
async function argon2id(message: string, nonce: Buffer): Promise<string> {
  const tag = await derive('argon2id', { message, nonce, tagLength: 32, ...ARGON2ID_PARAMETERS });
  return `${base64(nonce)}$${base64(tag)}`;
}

function base64(bytes: Buffer): string {
  return bytes.toString('base64').replace(/=+$/, '');
}
