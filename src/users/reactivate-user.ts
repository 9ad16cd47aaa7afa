import type { z } from 'zod';
import { record } from '../audit/audit-log.ts';
import type { Call } from '../call/call.ts';
import { transaction } from '../database/transaction.ts';
import { getUserInput } from './get-user.ts';
import type { User } from './user.entity.ts';
import { userNotFound } from './user.errors.ts';
import { lockUser } from './user.repository.ts';

export const reactivateUserInput = getUserInput;

export function reactivateUser(call: Call, { userId }: z.output<typeof reactivateUserInput>): Promise<User> {
  return transaction(call.em, async (em) => {
    const user = await lockUser(em, userId);
    if (!user) throw userNotFound();
    if (user.active) return user;
    user.active = true;
    record(em, call, { type: 'user.reactivated', userId });
    return user;
  });
}
