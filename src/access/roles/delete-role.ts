import type { z } from 'zod';
import { record } from '../../audit/audit-log.ts';
import type { Call } from '../../call/call.ts';
import { transaction } from '../../database/transaction.ts';
import { getRoleInput } from './get-role.ts';
import { requireGrantable } from './grants.ts';
import { roleBuiltIn, roleNotFound } from './role.errors.ts';
import { lockRole } from './role.repository.ts';

export const deleteRoleInput = getRoleInput;

export function deleteRole(call: Call, { name }: z.output<typeof deleteRoleInput>): Promise<void> {
  return transaction(call.em, async (em) => {
    const role = await lockRole(em, name);
    if (!role) throw roleNotFound();
    if (role.builtIn) throw roleBuiltIn();
    await requireGrantable(em, call, role.permissionNames());
    em.remove(role);
    record(em, call, { type: 'role.deleted', metadata: { role: name } });
  });
}
