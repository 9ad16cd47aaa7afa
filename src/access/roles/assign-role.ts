import type { EntityManager } from '@mikro-orm/postgresql';
import { z } from 'zod';
import { record } from '../../audit/audit-log.ts';
import type { Call } from '../../call/call.ts';
import { transaction } from '../../database/transaction.ts';
import { userNotFound } from '../../users/user.errors.ts';
import { lockUser } from '../../users/user.repository.ts';
import { serviceAccountNotFound } from '../service-accounts/service-account.errors.ts';
import { lockServiceAccount } from '../service-accounts/service-account.repository.ts';
import { roleName } from './create-role.ts';
import { requireGrantable } from './grants.ts';
import type { Role } from './role.entity.ts';
import { roleNotFound } from './role.errors.ts';
import { assignToServiceAccount, assignToUser, lockRole } from './role.repository.ts';
import { hasOneSubject, oneSubject, type Subject, subjectFields, subjectOf } from './subject.ts';

export const assignRoleInput = z.object({ role: roleName, ...subjectFields }).refine(hasOneSubject, oneSubject('subject'));

type AssignRoleInput = z.output<typeof assignRoleInput>;

export function assignRole(call: Call, input: AssignRoleInput): Promise<void> {
  return transaction(call.em, async (em) => {
    const role = await lockForGrant(em, call, input);
    const { userId, serviceAccountId } = input;
    const assigned =
      userId === undefined ? await assignToServiceAccount(em, serviceAccountId ?? '', role) : await assignToUser(em, userId, role);
    const { metadata, ...subject } = subjectOf(input);
    if (assigned)
      record(em, call, { type: 'role.assigned', ...subject, metadata: { role: role.name, ...metadata }, payload: payloadOf(role) });
  });
}

/** Administration of accounts is what a user is told of by mail: who has it can let others in. */
function payloadOf(role: Role): Record<string, string> {
  const administrative = role.permissionNames().some((name) => name === '*' || name.startsWith('identity.'));
  return administrative ? { administrative: 'true' } : {};
}

/** Locks the subject and the role; throws unless both exist and the caller has all that the role permits. */
export async function lockForGrant(
  em: EntityManager,
  call: Call,
  { role: name, userId, serviceAccountId }: Subject & { role: string },
): Promise<Role> {
  if (userId !== undefined && !(await lockUser(em, userId))) throw userNotFound();
  if (serviceAccountId !== undefined && !(await lockServiceAccount(em, serviceAccountId))) throw serviceAccountNotFound();
  const role = await lockRole(em, name);
  if (!role) throw roleNotFound();
  await requireGrantable(em, call, role.permissionNames());
  return role;
}
