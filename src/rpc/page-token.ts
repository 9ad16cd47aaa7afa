import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { z } from 'zod';
import { invalidFields } from '../errors.ts';

const IV_BYTES = 12;
const TAG_BYTES = 16;

/** Where the next page begins: the sort key of the last row and its id. */
const cursorSchema = z.tuple([z.string(), z.string()]);

export type Cursor = z.output<typeof cursorSchema>;

/**
 * Page tokens that nobody can read or make up (AIP-158): the sort key in them may be a moment or an email that the caller must not learn.
 * They are sealed with AES-256-GCM, and `scope` (the filter, the order) is authenticated along: under another one they do not open.
 */
export interface PageTokens {
  seal(cursor: Cursor, scope: unknown): string;
  open(token: string, scope: unknown): Cursor;
}

/** `secret` is the same for all replicas, so that any of them can serve the next page. */
export function createPageTokens(secret: string): PageTokens {
  const key = Buffer.from(hkdfSync('sha256', secret, '', 'identity.v1 page token', 32));
  return {
    seal(cursor, scope) {
      const iv = randomBytes(IV_BYTES);
      const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(additionalData(scope));
      const sealed = Buffer.concat([cipher.update(JSON.stringify(cursor), 'utf8'), cipher.final()]);
      return Buffer.concat([iv, sealed, cipher.getAuthTag()]).toString('base64url');
    },
    open(token, scope) {
      try {
        const bytes = decode(token);
        const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, IV_BYTES), { authTagLength: TAG_BYTES })
          .setAAD(additionalData(scope))
          .setAuthTag(bytes.subarray(-TAG_BYTES));
        const opened = Buffer.concat([decipher.update(bytes.subarray(IV_BYTES, -TAG_BYTES)), decipher.final()]);
        return cursorSchema.parse(JSON.parse(opened.toString('utf8')));
      } catch {
        throw invalidFields([{ field: 'page_token', description: 'is not a token of this list, filter and order' }]);
      }
    },
  };
}

/** Node skips what is no base64 and the bits left over at the end: without the comparison, many texts would be the same token. */
function decode(token: string): Buffer {
  const bytes = Buffer.from(token, 'base64url');
  if (bytes.toString('base64url') !== token) throw new Error('not canonical');
  return bytes;
}

function additionalData(scope: unknown): Buffer {
  return Buffer.from(JSON.stringify(scope));
}
