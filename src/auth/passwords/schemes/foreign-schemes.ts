import { readArgon2 } from './argon2.ts';
import { readBcrypt } from './bcrypt.ts';
import { readFirebaseScrypt } from './firebase-scrypt.ts';
import { type ForeignHash, UnusableHash } from './foreign-hash.ts';
import { readDjangoPbkdf2, readPbkdf2 } from './pbkdf2.ts';
import { readScrypt } from './scrypt.ts';

/** The beginnings of the hashes of other systems, each with the function that reads it. */
const SCHEMES: ReadonlyMap<string, (stored: string) => ForeignHash> = new Map([
  ['$2a$', readBcrypt],
  ['$2b$', readBcrypt],
  ['$2y$', readBcrypt],
  ['$argon2i$', readArgon2],
  ['$argon2id$', readArgon2],
  ['$scrypt$', readScrypt],
  ['$fbscrypt$', readFirebaseScrypt],
  ['$pbkdf2$', readPbkdf2],
  ['$pbkdf2-', readPbkdf2],
  ['pbkdf2_', readDjangoPbkdf2],
]);

/** Throws an UnusableHash where the value is of no known scheme, not well-formed, or beyond what one login may cost. */
export function readForeignHash(stored: string): ForeignHash {
  for (const [prefix, read] of SCHEMES) if (stored.startsWith(prefix)) return read(stored);
  throw new UnusableHash('is of no supported scheme');
}
