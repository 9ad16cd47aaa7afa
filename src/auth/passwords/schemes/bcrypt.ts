import bcrypt from 'bcrypt';
import { cost, type ForeignHash, parts, sameBytes } from './foreign-hash.ts';

const SHAPE = /^\$2[aby]\$(\d\d)\$([./A-Za-z0-9]{22})([./A-Za-z0-9]{31})$/;

/**
 * The versions differ only in defects of long gone implementations, so all are compared as the current one, `$2b$`.
 *
 * bcrypt ignores everything after byte 72, and after a NUL. If another system has fed it with the bare password, that
 * cannot be made good: until the first login has replaced the hash, longer passwords that begin alike are one and the
 * same.
 */
export function readBcrypt(stored: string): ForeignHash {
  const [rounds = '', salt, expected = ''] = parts(SHAPE, stored);
  cost('a bcrypt cost of', rounds, 4, 16);
  return {
    async matches(password) {
      // Only the digest is compared: the last character of a salt has bits to spare, which some implementations fill and others clear.
      const hash = await bcrypt.hash(password, `$2b$${rounds}$${salt}`);
      return sameBytes(Buffer.from(hash.slice(-expected.length)), Buffer.from(expected));
    },
  };
}
