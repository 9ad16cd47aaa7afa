import type { z } from 'zod';
import { record } from '../audit/audit-log.ts';
import type { Call } from '../call/call.ts';
import { transaction } from '../database/transaction.ts';
import { getUserInput } from './get-user.ts';
import type { User } from './user.entity.ts';
import { userNotFound } from './user.errors.ts';
import { lockUser } from './user.repository.ts';

export const unlockUserInput = getUserInput;

/** Forgets the failed attempts, whether they have led to a lock or not. */
export function unlockUser(call: Call, { userId }: z.output<typeof unlockUserInput>): Promise<User> {
  return transaction(call.em, async (em) => {
    const user = await lockUser(em, userId);
    if (!user) throw userNotFound();
    if (user.failedAttempts === 0 && user.lockedUntil == null) return user;
    user.failedAttempts = 0;
    user.lockedUntil = null;
    record(em, call, { type: 'user.unlocked', userId, metadata: { reason: 'manual' } });
    return user;
  });
}
