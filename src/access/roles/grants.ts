import type { EntityManager } from '@mikro-orm/postgresql';
import { isSelf } from '../../call/authorize.ts';
import type { Call } from '../../call/call.ts';
import { Permissions } from '../../call/permissions.ts';
import { permissionsNow } from '../permissions-now.ts';
import { grantExceedsCaller } from './role.errors.ts';
import { permissionsGranted } from './role.repository.ts';
import type { Subject } from './subject.ts';

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

/** The permissions over this service itself; those of products do not let anybody do something to a user here. */
function isOverIdentity(permission: string): boolean {
  return permission === '*' || permission.startsWith('identity.');
}

/**
 * Throws GRANT_EXCEEDS_CALLER where a user, a service account, or a key of it with these scopes, may do something to others that the caller may
 * not: nobody acts on who may do more than they (ADR 24). Users may do to themselves what users may. The owner is locked.
 */
export async function requireMayActOn(em: EntityManager, call: Call, owner: Subject, scopes: readonly string[] = []): Promise<void> {
  if (isSelf(call.caller, owner.userId)) return;
  const held = new Permissions(await permissionsGranted(em, owner)).limitedTo(scopes).list().filter(isOverIdentity);
  if (held.length > 0) await requireGrantable(em, call, held);
}
