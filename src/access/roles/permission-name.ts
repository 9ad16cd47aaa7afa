import { z } from 'zod';
import { problemOfPermission } from './known-permissions.ts';

/** `invoices.approve`, or `*` for everything. */
export const permissionName = z
  .string()
  .max(100, 'must have at most 100 characters')
  .regex(/^(\*|[a-z][a-z0-9_-]*(\.[a-z][a-z0-9_-]*)*)$/, 'must be words of a-z, 0-9, "_", "-", separated by dots, or "*"');

/** Of those that would be ours, only those that exist: a misspelt one would give nothing, and nobody would notice. */
const grantedName = permissionName.superRefine((name, context) => {
  const problem = problemOfPermission(name);
  if (problem !== undefined) context.addIssue(problem);
});

const MAX_NAMES = 200;
const TOO_MANY = `must have at most ${MAX_NAMES} names`;

const sortedOnce = (names: readonly string[]) => [...new Set(names)].sort();

/** Sorted, each once. */
export const permissionNames = z.array(grantedName).max(MAX_NAMES, TOO_MANY).transform(sortedOnce);

/** The same, but whether the names exist has to be seen later: something may have them from before that was asked. */
export const anyPermissionNames = z.array(permissionName).max(MAX_NAMES, TOO_MANY).transform(sortedOnce);
