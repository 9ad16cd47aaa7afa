import { type ScryptOptions, scrypt } from 'node:crypto';
import { promisify } from 'node:util';
import { cost, type ForeignHash, hashBytes, parts, saltBytes, sameBytes, UnusableHash } from './foreign-hash.ts';

/** The PHC string format, as passlib writes it. */
const SHAPE = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]+)={0,2}\$([A-Za-z0-9+/]+)={0,2}$/;

const MAX_MEMORY = 1024 ** 3;
/** Memory × lanes: 2 GiB take about five seconds. */
const MAX_WORK = 2 * MAX_MEMORY;

const deriveKey = promisify<string, Buffer, number, ScryptOptions, Buffer>(scrypt);

export type Derive = (password: string, salt: Buffer, bytes: number) => Promise<Buffer>;

export function readScrypt(stored: string): ForeignHash {
  const [ln = '', r = '', p = '', salt = '', hash = ''] = parts(SHAPE, stored);
  const derive = scryptWith(ln, r, p);
  const saltGiven = saltBytes(salt);
  const expected = hashBytes(hash);
  return { matches: async (password) => sameBytes(await derive(password, saltGiven, expected.length), expected) };
}

/** scrypt with N = 2^ln (RFC 7914). */
export function scryptWith(ln: string, r: string, p: string): Derive {
  const blockSize = cost('scrypt r of', r, 1, 99);
  const parallelization = cost('scrypt p of', p, 1, 99);
  const N = 2 ** cost('scrypt ln of', ln, 1, 30);
  const memory = cost('scrypt memory of', 128 * N * blockSize, 1, MAX_MEMORY);
  cost('scrypt memory × p of', memory * parallelization, 1, MAX_WORK);
  // RFC 7914 §2; OpenSSL throws otherwise.
  if (N >= 2 ** (16 * blockSize)) throw new UnusableHash('has a scrypt ln that is too large for its r');
  const maxmem = 128 * blockSize * (N + parallelization + 2);
  return (password, salt, bytes) => deriveKey(password, salt, bytes, { N, r: blockSize, p: parallelization, maxmem });
}
