import { z } from 'zod';
import { actorOf, type Call } from './call.ts';
import type { Cursor, PageTokens } from './page-token.ts';

const DEFAULT_PAGE_SIZE = 50;
const MAX_PAGE_SIZE = 1000;

/** AIP-158: 0 is the default, too much is cut, negative is an error. */
export const pageSize = z
  .number()
  .min(0, 'must not be negative')
  .transform((size) => Math.min(size || DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE));

export const pageToken = z.string().max(4096, 'is not a page token');

/** The fields of a request for a page. */
export const pageFields = { pageSize, pageToken };

export interface PageRequest {
  readonly pageSize: number;
  readonly pageToken: string;
}

export interface PagingDeps {
  readonly pageTokens: PageTokens;
}

/** A list that is read page by page. */
export interface PagedList<Row> {
  /** The name of its RPC. */
  readonly rpc: string;
  /** The part of the request that a page token is good for alone. */
  readonly filter: unknown;
  readonly cursorOf: (row: Row) => Cursor;
  /** The rows after the place, in the order of the list. */
  readonly find: (after: Cursor | undefined, limit: number) => Promise<Row[]>;
}

export interface Page<Row> {
  readonly rows: Row[];
  /** Empty on the last page. */
  readonly nextPageToken: string;
}

/** Reads one page; one row more than asked for tells whether there is another page. Its token is bound to the caller and the filter. */
export async function readPage<Row>(
  call: Call,
  { pageTokens }: PagingDeps,
  { pageSize: size, pageToken: token }: PageRequest,
  { rpc, filter, cursorOf, find }: PagedList<Row>,
): Promise<Page<Row>> {
  const scope = [rpc, actorOf(call), filter];
  const found = await find(token === '' ? undefined : pageTokens.open(token, scope), size + 1);
  const rows = found.slice(0, size);
  const last = rows.at(-1);
  return { rows, nextPageToken: last && found.length > size ? pageTokens.seal(cursorOf(last), scope) : '' };
}
