import { argon2 } from 'node:crypto';
import { promisify } from 'node:util';
import { cost, type ForeignHash, hashBytes, parts, saltBytes, sameBytes } from './foreign-hash.ts';

/** The PHC string format; version 19 is 1.3, the one of RFC 9106. */
const SHAPE = /^\$(argon2id?)\$v=19\$m=(\d{1,8}),t=(\d{1,8}),p=(\d{1,3})\$([A-Za-z0-9+/]+)={0,2}\$([A-Za-z0-9+/]+)={0,2}$/;

/** 1 GiB, in KiB. */
const MAX_MEMORY = 1024 * 1024;
const MAX_LANES = 16;
/** Memory × passes, in KiB: 4 GiB take about six seconds. */
const MAX_WORK = 4 * MAX_MEMORY;

const derive = promisify(argon2);

export function readArgon2(stored: string): ForeignHash {
  const [algorithm, m = '', t = '', p = '', salt = '', hash = ''] = parts(SHAPE, stored);
  const parallelism = cost('argon2 p of', p, 1, MAX_LANES);
  const memory = cost('argon2 m of', m, 8 * parallelism, MAX_MEMORY);
  const passes = cost('argon2 t of', t, 1, MAX_WORK);
  cost('argon2 m × t of', memory * passes, 1, MAX_WORK);
  const nonce = saltBytes(salt);
  const expected = hashBytes(hash);
  return {
    async matches(message) {
      const parameters = { message, nonce, memory, passes, parallelism, tagLength: expected.length };
      return sameBytes(await derive(algorithm === 'argon2i' ? 'argon2i' : 'argon2id', parameters), expected);
    },
  };
}
