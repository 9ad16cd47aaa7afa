import { createHmac, hkdfSync } from 'node:crypto';
import type { TokenPurpose } from './one-time-token-policy.ts';

const CODES = 10n ** 8n;

/** The purposes that a secret may have: those of one-time tokens, and of the two links about a change of the email. */
export type SecretPurpose = TokenPurpose | 'email_change' | 'email_revert';

/**
 * The secrets in the mails. A secret is derived from the id of its row and a key that the database does not hold. So it
 * need not be stored to be sent, and sent again after a failure, and the database alone does not yield it.
 */
export class OneTimeSecrets {
  readonly #key: Buffer;

  /** `secretKey` is the same for all replicas. */
  constructor(secretKey: string) {
    this.#key = Buffer.from(hkdfSync('sha256', secretKey, '', 'identity.v1 one-time secret', 32));
  }

  /** 256 bits in base64url, or 8 digits. */
  reveal(purpose: SecretPurpose, id: string): string {
    const bits = this.#hmac(`${purpose}:${id}`);
    return purpose === 'login_code' ? String(bits.readBigUInt64BE() % CODES).padStart(8, '0') : bits.toString('base64url');
  }

  /**
   * The stored form of a secret. It is keyed and bound to the row, because somebody who sees the hash of a mere code
   * could try all codes.
   */
  hashOf(purpose: SecretPurpose, id: string): Buffer {
    const secret = this.reveal(purpose, id);
    return purpose === 'login_code' ? this.hashOfCode(id, secret) : this.hashOfToken(secret);
  }

  hashOfToken(token: string): Buffer {
    return this.#hmac(`token:${token}`);
  }

  hashOfCode(id: string, code: string): Buffer {
    return this.#hmac(`code:${id}:${code}`);
  }

  #hmac(text: string): Buffer {
    return createHmac('sha256', this.#key).update(text).digest();
  }
}
