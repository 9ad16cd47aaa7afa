import type { EntityManager } from '@mikro-orm/postgresql';
import type { z } from 'zod';
import { record } from '../audit/audit-log.ts';
import type { Call } from '../call/call.ts';
import { transaction } from '../database/transaction.ts';
import { type ActOnUserDeps, lockUserToActOn } from './act-on-user.ts';
import { getUserInput } from './get-user.ts';
import type { User } from './user.entity.ts';

export const deactivateUserInput = getUserInput;

export interface DeactivateUserDeps extends ActOnUserDeps {
  /** Ends what a deactivation ends of the credentials of a user; `auth` knows all kinds. */
  readonly endCredentials: (em: EntityManager, call: Call, event: 'user_deactivated', user: User) => Promise<unknown>;
}

/** A soft delete. The user's row is locked first, as a login locks it, so no session can begin in between. */
export function deactivateUser(call: Call, deps: DeactivateUserDeps, { userId }: z.output<typeof deactivateUserInput>): Promise<User> {
  return transaction(call.em, async (em) => {
    const user = await lockUserToActOn(em, call, deps, userId);
    if (!user.active) return user;
    user.active = false;
    await deps.endCredentials(em, call, 'user_deactivated', user);
    record(em, call, { type: 'user.deactivated', userId });
    return user;
  });
}
