import crypto from 'node:crypto';
import { promisify } from 'node:util';
import { cost, type ForeignHash, hashBytes, parts, SALT_BYTES, saltBytes, sameBytes, sized, UnusableHash } from './foreign-hash.ts';

/** The PHC string format (`i=`, perhaps `l=`), and passlib's: the bare number, and base64 with `.` for `+`. Without a digest: SHA-1. */
const PHC = /^\$pbkdf2(?:-(sha1|sha256|sha512))?\$(?:i=)?(\d{1,8})(?:,l=(\d{1,3}))?\$([A-Za-z0-9+./]+)={0,2}\$([A-Za-z0-9+./]+)={0,2}$/;

/** Its salt is text, and used as such. */
const DJANGO = /^pbkdf2_(sha1|sha256)\$(\d{1,8})\$([!-#%-~]+)\$([A-Za-z0-9+/]+={0,2})$/;

const derive = promisify(crypto.pbkdf2);

/** Under three seconds, for the longest hash. */
const MAX_ITERATIONS = 5_000_000;

export function readPbkdf2(stored: string): ForeignHash {
  const [digest, iterations = '', length, salt = '', hash = ''] = parts(PHC, stored);
  const expected = hashBytes(hash.replaceAll('.', '+'));
  if (length && Number(length) !== expected.length) throw new UnusableHash('has a hash of another length than it says');
  return pbkdf2(digest || 'sha1', iterations, saltBytes(salt.replaceAll('.', '+')), expected);
}

export function readDjangoPbkdf2(stored: string): ForeignHash {
  const [digest = '', iterations = '', salt = '', hash = ''] = parts(DJANGO, stored);
  return pbkdf2(digest, iterations, sized('salt', Buffer.from(salt), SALT_BYTES), hashBytes(hash));
}

function pbkdf2(digest: string, iterations: string, salt: Buffer, expected: Buffer): ForeignHash {
  const count = cost('PBKDF2 iterations of', iterations, 1, MAX_ITERATIONS);
  return { matches: async (password) => sameBytes(await derive(password, salt, count, expected.length, digest), expected) };
}
