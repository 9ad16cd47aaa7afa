import type { EntityManager } from '@mikro-orm/postgresql';
import type { Call } from '../../call/call.ts';
import type { IdentityError } from '../../call/errors.ts';
import type { ImportRoles } from '../../users/import-users.ts';
import { permissionsNow } from '../permissions-now.ts';
import { mayGrant } from './grants.ts';
import { grantExceedsCaller, roleNotFound } from './role.errors.ts';
import { assignRolesToUsers, lockRolesToRead, permissionsByRole } from './role.repository.ts';

/** The roles that an import gives to users: under the rule of AssignRole, but for many users at once. */
export const importRoles: ImportRoles = { resolve, assign: assignRolesToUsers };

/**
 * Returns for each name the id of the role, or the reason why the caller cannot give it. The permissions of the roles
 * stay as they are until the transaction ends.
 */
async function resolve(em: EntityManager, call: Call, names: readonly string[]): Promise<ReadonlyMap<string, string | IdentityError>> {
  if (names.length === 0) return new Map();
  const ids = await lockRolesToRead(em, names);
  const held = await permissionsNow(em, call);
  const permissions = await permissionsByRole(em, [...ids.values()]);
  return new Map(
    names.map((name) => {
      const id = ids.get(name);
      if (id === undefined) return [name, roleNotFound()];
      return [name, mayGrant(held, permissions.get(id) ?? []) ? id : grantExceedsCaller()];
    }),
  );
}
