import { z } from 'zod';

/** `invoices.approve`, or `*` for everything. */
export const permissionName = z
  .string()
  .max(100, 'must have at most 100 characters')
  .regex(/^(\*|[a-z][a-z0-9_-]*(\.[a-z][a-z0-9_-]*)*)$/, 'must be words of a-z, 0-9, "_", "-", separated by dots, or "*"');

/** Sorted, each once. */
export const permissionNames = z
  .array(permissionName)
  .max(200, 'must have at most 200 names')
  .transform((names) => [...new Set(names)].sort());
