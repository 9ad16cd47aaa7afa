import type { z } from 'zod';
import { record } from '../audit/audit-log.ts';
import type { Call } from '../call/call.ts';
import { transaction } from '../database/transaction.ts';
import { type ActOnUserDeps, lockUserToActOn } from './act-on-user.ts';
import { getUserInput } from './get-user.ts';
import type { User } from './user.entity.ts';

export const reactivateUserInput = getUserInput;

export function reactivateUser(call: Call, deps: ActOnUserDeps, { userId }: z.output<typeof reactivateUserInput>): Promise<User> {
  return transaction(call.em, async (em) => {
    const user = await lockUserToActOn(em, call, deps, userId);
    if (user.active) return user;
    user.active = true;
    record(em, call, { type: 'user.reactivated', userId });
    return user;
  });
}
