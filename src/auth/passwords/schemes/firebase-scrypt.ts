import { createCipheriv } from 'node:crypto';
import { type ForeignHash, hashBytes, parts, saltBytes, sameBytes, UnusableHash } from './foreign-hash.ts';
import { scryptWith } from './scrypt.ts';

/** As Supabase Auth stores it: memory cost, rounds, salt separator and signer key are those of the Firebase project. */
const SHAPE =
  /^\$fbscrypt\$v=1,n=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2}),ss=([\w+/-]*)={0,2},sk=([\w+/-]+)={0,2}\$([\w+/-]+)={0,2}\$([\w+/-]+)={0,2}$/;

const KEY_BYTES = 32;

/**
 * Firebase does not store the output of scrypt, but the signer key of the project, encrypted with that (AES-256-CTR, IV
 * zero).
 */
export function readFirebaseScrypt(stored: string): ForeignHash {
  const [n = '', r = '', p = '', separator = '', signerKey = '', salt = '', hash = ''] = parts(SHAPE, stored);
  const derive = scryptWith(n, r, p);
  const salted = Buffer.concat([saltBytes(salt), Buffer.from(separator, 'base64')]);
  const signed = Buffer.from(signerKey, 'base64');
  const expected = hashBytes(hash);
  if (signed.length !== expected.length) throw new UnusableHash('has a hash and a signer key of different lengths');
  return {
    async matches(password) {
      const cipher = createCipheriv('aes-256-ctr', await derive(password, salted, KEY_BYTES), Buffer.alloc(16));
      return sameBytes(Buffer.concat([cipher.update(signed), cipher.final()]), expected);
    },
  };
}
