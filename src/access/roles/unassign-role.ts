import type { z } from 'zod';
import { record } from '../../audit/audit-log.ts';
import type { Call } from '../../call/call.ts';
import { transaction } from '../../database/transaction.ts';
import { assignRoleInput, lockForGrant } from './assign-role.ts';
import { requireMayActOn } from './grants.ts';
import { unassignFromServiceAccount, unassignFromUser } from './role.repository.ts';
import { subjectOf } from './subject.ts';

export const unassignRoleInput = assignRoleInput;

export function unassignRole(call: Call, input: z.output<typeof unassignRoleInput>): Promise<void> {
  return transaction(call.em, async (em) => {
    const role = await lockForGrant(em, call, input);
    await requireMayActOn(em, call, input);
    const { userId, serviceAccountId } = input;
    const unassigned =
      userId === undefined ? await unassignFromServiceAccount(em, serviceAccountId ?? '', role) : await unassignFromUser(em, userId, role);
    const { metadata, ...subject } = subjectOf(input);
    if (unassigned) record(em, call, { type: 'role.unassigned', ...subject, metadata: { role: role.name, ...metadata } });
  });
}
