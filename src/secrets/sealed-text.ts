import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';

const IV_BYTES = 12;
const TAG_BYTES = 16;

/** Text that only this service can read or make up: AES-256-GCM, in base64url. */
export class SealedText {
  readonly #key: Buffer;

  /** `secret` is the same for all replicas; boxes of different purposes do not open each other's texts. */
  constructor(secret: string, purpose: string) {
    this.#key = Buffer.from(hkdfSync('sha256', secret, '', `identity.v1 ${purpose}`, 32));
  }

  /** `context` is authenticated along: under another one the text does not open. */
  seal(text: string, context: unknown): string {
    const iv = randomBytes(IV_BYTES);
    const cipher = createCipheriv('aes-256-gcm', this.#key, iv).setAAD(additionalData(context));
    const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
    return Buffer.concat([iv, sealed, cipher.getAuthTag()]).toString('base64url');
  }

  /** Throws where it was not sealed by such a box under this context. */
  open(sealed: string, context: unknown): string {
    const bytes = decode(sealed);
    const decipher = createDecipheriv('aes-256-gcm', this.#key, bytes.subarray(0, IV_BYTES), { authTagLength: TAG_BYTES })
      .setAAD(additionalData(context))
      .setAuthTag(bytes.subarray(-TAG_BYTES));
    return Buffer.concat([decipher.update(bytes.subarray(IV_BYTES, -TAG_BYTES)), decipher.final()]).toString('utf8');
  }
}

/** Node skips what is no base64 and the bits left over at the end: without the comparison, many texts would be the same one. */
function decode(text: string): Buffer {
  const bytes = Buffer.from(text, 'base64url');
  if (bytes.toString('base64url') !== text) throw new Error('not canonical');
  return bytes;
}

function additionalData(context: unknown): Buffer {
  return Buffer.from(JSON.stringify(context));
}
