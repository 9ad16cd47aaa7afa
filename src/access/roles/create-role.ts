import { z } from 'zod';
import { record } from '../../audit/audit-log.ts';
import type { Call } from '../../call/call.ts';
import { multiline } from '../../call/validation.ts';
import { transaction } from '../../database/transaction.ts';
import { requireGrantable } from './grants.ts';
import { permissionNames } from './permission-name.ts';
import { Role } from './role.entity.ts';

import { RolePermission } from './role-permission.entity.ts';

export const roleName = z
  .string()
  .regex(/^[a-z][a-z0-9_-]{0,63}$/, 'must have 1 to 64 characters out of a-z, 0-9, "_" and "-", starting with a letter');

export const createRoleInput = z.object({
  role: z
    .object({ name: roleName, description: multiline(500), permissions: permissionNames })
    .optional()
    .refine((role) => role !== undefined, 'is required'),
});

export async function createRole(call: Call, { role: given }: z.output<typeof createRoleInput>): Promise<Role> {
  const { name, description, permissions } = given as NonNullable<typeof given>;
  return transaction(call.em, async (em) => {
    await requireGrantable(em, call, permissions);
    const role = em.create(Role, { name, description });
    for (const permission of permissions) role.permissions.add(em.create(RolePermission, { role, permission }));
    record(em, call, { type: 'role.created', metadata: { role: name, permissions: permissions.join(',') } });
    return role;
  });
}
