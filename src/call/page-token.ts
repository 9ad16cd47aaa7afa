import { z } from 'zod';
import { SealedText } from '../secrets/sealed-text.ts';
import { invalidFields } from './errors.ts';

/** The place where the next page begins: the sort key of the last row and its id. */
const cursorSchema = z.tuple([z.string(), z.string()]);

export type Cursor = z.output<typeof cursorSchema>;

/**
 * Page tokens that nobody can read or make up (AIP-158): the sort key in them may be a moment or an email that the caller must not learn.
 * `scope` (the caller, the filter, the order) is authenticated along: under another one they do not open.
 */
export interface PageTokens {
  seal(cursor: Cursor, scope: unknown): string;
  open(token: string, scope: unknown): Cursor;
}

/** `secret` is the same for all replicas, so that any of them can serve the next page. */
export function createPageTokens(secret: string): PageTokens {
  const box = new SealedText(secret, 'page token');
  return {
    seal: (cursor, scope) => box.seal(JSON.stringify(cursor), scope),
    open(token, scope) {
      try {
        return cursorSchema.parse(JSON.parse(box.open(token, scope)));
      } catch {
        throw invalidFields([{ field: 'page_token', description: 'is not a token of this list, filter and order' }]);
      }
    },
  };
}
