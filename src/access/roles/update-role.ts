import type { EntityManager } from '@mikro-orm/postgresql';
import { z } from 'zod';
import { record } from '../../audit/audit-log.ts';
import type { Call } from '../../call/call.ts';
import { invalidFields } from '../../call/errors.ts';
import { multiline } from '../../call/validation.ts';
import { transaction } from '../../database/transaction.ts';
import { roleName } from './create-role.ts';
import { requireGrantable } from './grants.ts';
import { problemOfPermission } from './known-permissions.ts';
import { anyPermissionNames } from './permission-name.ts';
import type { Role } from './role.entity.ts';
import { roleBuiltIn, roleNotFound, staleRole } from './role.errors.ts';
import { lockRole } from './role.repository.ts';
import { RolePermission } from './role-permission.entity.ts';

const UPDATABLE = ['description', 'permissions'];

export const updateRoleInput = z.object({
  role: z
    .object({ name: roleName, description: multiline(500), permissions: anyPermissionNames, etag: z.string() })
    .optional()
    .refine((role) => role !== undefined, 'is required'),
  updateMask: z.array(z.string()).optional(),
});

export async function updateRole(call: Call, { role: given, updateMask = UPDATABLE }: z.output<typeof updateRoleInput>): Promise<Role> {
  const { name, description, permissions, etag } = given as NonNullable<typeof given>;
  refuseUnknown(updateMask);
  return transaction(call.em, async (em) => {
    const role = await lockRole(em, name);
    if (!role) throw roleNotFound();
    if (role.builtIn) throw roleBuiltIn();
    if (etag !== '' && etag !== role.etag()) throw staleRole();
    const before = role.etag();
    if (updateMask.includes('description')) role.description = description;
    if (updateMask.includes('permissions')) await setPermissions(em, call, role, permissions);
    if (role.etag() === before) return role;
    record(em, call, { type: 'role.updated', metadata: { role: name, permissions: role.permissionNames().join(',') } });
    return role;
  });
}

function refuseUnknown(mask: readonly string[]): void {
  const unknown = mask.filter((path) => !UPDATABLE.includes(path));
  if (unknown.length === 0) return;
  throw invalidFields(unknown.map((path) => ({ field: 'update_mask', description: `has the unknown path "${path.slice(0, 100)}"` })));
}

/** Throws where one of ours does not exist; a role that has such a one from before keeps it. */
function requireKnown(names: readonly string[]): void {
  const violations = names.flatMap((name) => {
    const problem = problemOfPermission(name);
    return problem === undefined ? [] : [{ field: 'role.permissions', description: `${name} ${problem}` }];
  });
  if (violations.length > 0) throw invalidFields(violations);
}

/** Sets the permissions of a role. The caller must have both those that are added and those that are taken away. */
async function setPermissions(em: EntityManager, call: Call, role: Role, names: readonly string[]): Promise<void> {
  const before = role.permissionNames();
  const removed = before.filter((name) => !names.includes(name));
  const added = names.filter((name) => !before.includes(name));
  requireKnown(added);
  await requireGrantable(em, call, [...removed, ...added]);
  role.permissions.remove((item) => removed.includes(item.permission));
  for (const permission of added) role.permissions.add(em.create(RolePermission, { role, permission }));
}
