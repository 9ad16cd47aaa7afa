import type { Call } from '../../call/call.ts';
import type { Permissions } from '../../call/permissions.ts';
import { grantExceedsCaller } from './role.errors.ts';

/** Nobody gives away, or takes from others, what they do not have: so no chain of calls raises anybody's own rights. */
export function mayGrant(held: Permissions, granted: Iterable<string>): boolean {
  return held.includes(granted);
}

/** Throws GRANT_EXCEEDS_CALLER unless the caller has all that they would give or take. */
export function requireGrantable({ caller }: Call, granted: Iterable<string>): void {
  if (!mayGrant(caller.permissions, granted)) throw grantExceedsCaller();
}
