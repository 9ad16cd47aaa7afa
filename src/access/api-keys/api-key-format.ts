import { hash, randomInt } from 'node:crypto';
import { crc32 } from 'node:zlib';

/** Secret scanners look for it, and people recognise it. */
const PREFIX = 'idk_';
const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
/** 62^30 ≈ 2^178. */
const RANDOM_LENGTH = 30;
/** 62^6 > 2^32. */
const CHECKSUM_LENGTH = 6;
const SHAPE = new RegExp(`^${PREFIX}[0-9A-Za-z]{${RANDOM_LENGTH + CHECKSUM_LENGTH}}$`);
/**
 * The length of the part of a key that a list shows: enough to tell one's own keys apart, too little to help anybody.
 */
const HINT_LENGTH = PREFIX.length + 6;

/** `idk_`, random letters and digits, and a checksum: a scanner, and we, can tell a key from a look-alike without a database. */
export function createApiKeySecret(): string {
  const random = Array.from({ length: RANDOM_LENGTH }, () => ALPHABET[randomInt(ALPHABET.length)]).join('');
  return PREFIX + random + checksum(PREFIX + random);
}

/** True for what could be a key of ours: mistyped, truncated and made up ones are refused before any look-up. */
export function isApiKey(value: string): boolean {
  return SHAPE.test(value) && value.slice(-CHECKSUM_LENGTH) === checksum(value.slice(0, -CHECKSUM_LENGTH));
}

/** The stored form of a key, its SHA-256. A key is random, so a fast hash is enough: there is nothing to guess. */
export function hashApiKey(key: string): Buffer {
  return hash('sha256', key, 'buffer');
}

export function hintOf(key: string): string {
  return key.slice(0, HINT_LENGTH);
}

function checksum(text: string): string {
  let rest = crc32(text);
  let digits = '';
  for (let place = 0; place < CHECKSUM_LENGTH; place++) {
    digits = ALPHABET[rest % ALPHABET.length] + digits;
    rest = Math.floor(rest / ALPHABET.length);
  }
  return digits;
}
