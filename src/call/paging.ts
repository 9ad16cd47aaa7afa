import { z } from 'zod';

const DEFAULT_PAGE_SIZE = 50;
const MAX_PAGE_SIZE = 1000;

/** AIP-158: 0 is the default, too much is cut, negative is an error. */
export const pageSize = z
  .number()
  .min(0, 'must not be negative')
  .transform((size) => Math.min(size || DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE));

export const pageToken = z.string().max(4096, 'is not a page token');
