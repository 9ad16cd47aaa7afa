import type { EntityManager } from '@mikro-orm/postgresql';
import type { Call } from '../../call/call.ts';
import type { Permissions } from '../../call/permissions.ts';
import { permissionsNow } from '../permissions-now.ts';
import { grantExceedsCaller } from './role.errors.ts';

/** Nobody gives away, or takes from others, what they do not have: so no chain of calls raises anybody's own rights. */
export function mayGrant(held: Permissions, granted: Iterable<string>): boolean {
  return held.includes(granted);
}

/**
 * Throws GRANT_EXCEEDS_CALLER unless the caller has all that they would give or take, at this moment. To be asked when the rows that are to be
 * changed are locked.
 */
export async function requireGrantable(em: EntityManager, call: Call, granted: Iterable<string>): Promise<void> {
  if (!mayGrant(await permissionsNow(em, call), granted)) throw grantExceedsCaller();
}
