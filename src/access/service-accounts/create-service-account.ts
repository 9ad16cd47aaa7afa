import type { EntityManager } from '@mikro-orm/postgresql';
import { z } from 'zod';
import { record } from '../../audit/audit-log.ts';
import type { Call } from '../../call/call.ts';
import { multiline } from '../../call/validation.ts';
import { transaction } from '../../database/transaction.ts';
import { roleName } from '../roles/create-role.ts';
import { requireGrantable } from '../roles/grants.ts';
import type { Role } from '../roles/role.entity.ts';
import { roleNotFound } from '../roles/role.errors.ts';
import { findRolesByName, lockRolesToRead } from '../roles/role.repository.ts';
import { ServiceAccountRole } from '../roles/service-account-role.entity.ts';
import { ServiceAccount } from './service-account.entity.ts';

export const serviceAccountName = z
  .string()
  .regex(/^[a-z][a-z0-9.-]{1,63}$/, 'must have 2 to 64 characters out of a-z, 0-9, "." and "-", starting with a letter');

export const createServiceAccountInput = z.object({
  name: serviceAccountName,
  description: multiline(500),
  roles: z.array(roleName).max(100, 'must have at most 100 names'),
});

/** The account and its roles in one transaction; it has no key yet. */
export function createServiceAccount(call: Call, input: z.output<typeof createServiceAccountInput>): Promise<ServiceAccount> {
  const { name, description } = input;
  return transaction(call.em, async (em) => {
    const roles = await grantableRoles(em, call, [...new Set(input.roles)]);
    const account = em.create(ServiceAccount, { name, description });
    for (const role of roles) account.roles.add(em.create(ServiceAccountRole, { serviceAccount: account, role }));
    record(em, call, { type: 'service_account.created', metadata: { service_account_id: account.id, name, roles: input.roles.join(',') } });
    return account;
  });
}

async function grantableRoles(em: EntityManager, call: Call, names: readonly string[]): Promise<Role[]> {
  // Read again under the lock: what they permit stays so until the transaction ends.
  await lockRolesToRead(em, names);
  const roles = await findRolesByName(em, names);
  if (roles.length < names.length) throw roleNotFound();
  await requireGrantable(
    em,
    call,
    roles.flatMap((role) => role.permissionNames()),
  );
  return roles;
}
