import type { EntityManager } from '@mikro-orm/postgresql';
import type { Call } from '../call/call.ts';
import type { User } from './user.entity.ts';
import { userNotFound } from './user.errors.ts';
import { lockUser } from './user.repository.ts';

/** The rule of who may act on whom. `access` has it, which knows what somebody may do. */
export interface ActOnUserDeps {
  /** Throws where the user may do more than the caller. */
  readonly requireMayActOn: (em: EntityManager, call: Call, user: { readonly userId: string }) => Promise<void>;
}

/** Locks the user that a call changes, hands out or ends; throws unless there is one whom the caller may act on. */
export async function lockUserToActOn(em: EntityManager, call: Call, deps: ActOnUserDeps, userId: string): Promise<User> {
  const user = await lockUser(em, userId);
  if (!user) throw userNotFound();
  await deps.requireMayActOn(em, call, { userId });
  return user;
}
