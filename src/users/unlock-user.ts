import type { EntityManager } from '@mikro-orm/postgresql';
import type { z } from 'zod';
import { record } from '../audit/audit-log.ts';
import type { Call } from '../call/call.ts';
import { transaction } from '../database/transaction.ts';
import { getUserInput } from './get-user.ts';
import type { User } from './user.entity.ts';
import { userNotFound } from './user.errors.ts';
import { lockUser } from './user.repository.ts';

export const unlockUserInput = getUserInput;

export interface UnlockUserDeps {
  /** Forgets the failures of a locked user, and lifts the lock. Tells whether there was anything to forget. */
  readonly forgetFailures: (em: EntityManager, user: User) => Promise<boolean>;
}

/** Forgets the failed attempts, whether they have led to a lock or not. */
export function unlockUser(call: Call, { forgetFailures }: UnlockUserDeps, { userId }: z.output<typeof unlockUserInput>): Promise<User> {
  return transaction(call.em, async (em) => {
    const user = await lockUser(em, userId);
    if (!user) throw userNotFound();
    const forgotten = await forgetFailures(em, user);
    if (forgotten) record(em, call, { type: 'user.unlocked', userId, metadata: { reason: 'manual' } });
    return user;
  });
}
