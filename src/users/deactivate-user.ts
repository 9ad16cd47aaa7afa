import type { EntityManager } from '@mikro-orm/postgresql';
import type { z } from 'zod';
import { record } from '../audit/audit-log.ts';
import type { Call } from '../call/call.ts';
import { transaction } from '../database/transaction.ts';
import { getUserInput } from './get-user.ts';
import type { User } from './user.entity.ts';
import { userNotFound } from './user.errors.ts';
import { lockUser } from './user.repository.ts';

export const deactivateUserInput = getUserInput;

/** The operation on sessions that users need; `sessions` provides it. */
export type EndSessions = (em: EntityManager, call: Call, userId: string, reason: string, exceptSessionId?: string) => Promise<number>;

export interface DeactivateUserDeps {
  readonly endSessions: EndSessions;
}

/** A soft delete. The user's row is locked first, as a login locks it, so no session can begin in between. */
export function deactivateUser(call: Call, deps: DeactivateUserDeps, { userId }: z.output<typeof deactivateUserInput>): Promise<User> {
  return transaction(call.em, async (em) => {
    const user = await lockUser(em, userId);
    if (!user) throw userNotFound();
    if (!user.active) return user;
    user.active = false;
    await deps.endSessions(em, call, userId, 'user_deactivated');
    record(em, call, { type: 'user.deactivated', userId });
    return user;
  });
}
