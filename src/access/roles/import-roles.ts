import type { EntityManager } from '@mikro-orm/postgresql';
import type { Call } from '../../call/call.ts';
import type { IdentityError } from '../../call/errors.ts';
import type { ImportRoles } from '../../users/import-users.ts';
import { mayGrant, requireGrantable } from './grants.ts';
import { grantExceedsCaller, roleNotFound } from './role.errors.ts';
import { assignRolesToUsers, lockRolesToRead, permissionsByRole } from './role.repository.ts';

/** The roles that an import gives to users: under the rule of AssignRole, but for many users at once. */
export const importRoles: ImportRoles = { resolve, assign };

/**
 * Returns for each name the id of the role, or the reason why the caller cannot give it. The permissions of the roles
 * stay as they are until the transaction ends.
 */
async function resolve(em: EntityManager, call: Call, names: readonly string[]): Promise<ReadonlyMap<string, string | IdentityError>> {
  const ids = await lockRolesToRead(em, names);
  const permissions = await permissionsByRole(em, [...ids.values()]);
  return new Map(
    names.map((name) => {
      const id = ids.get(name);
      if (id === undefined) return [name, roleNotFound()];
      return [name, mayGrant(call.caller.permissions, permissions.get(id) ?? []) ? id : grantExceedsCaller()];
    }),
  );
}

/**
 * Gives the roles, if the caller still has what they permit: `resolve` goes by what is remembered of the caller. It comes last, because nobody
 * else changes who may do what from here to the end of the transaction.
 */
async function assign(em: EntityManager, call: Call, given: readonly { userId: string; roleId: string }[]): Promise<void> {
  if (given.length === 0) return;
  const permissions = await permissionsByRole(em, [...new Set(given.map(({ roleId }) => roleId))]);
  await requireGrantable(em, call, [...permissions.values()].flat());
  await assignRolesToUsers(em, given);
}
