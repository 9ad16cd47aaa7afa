import type { EntityManager } from '@mikro-orm/postgresql';
import { z } from 'zod';
import type { Call } from '../call/call.ts';
import { uuid } from '../call/validation.ts';
import { transaction } from '../database/transaction.ts';
import type { User } from '../users/user.entity.ts';
import { userNotFound } from '../users/user.errors.ts';
import { lockUser } from '../users/user.repository.ts';

export const revokeAllSessionsInput = z.object({ userId: uuid, exceptSessionId: uuid.optional(), revokeApiKeys: z.boolean() });

/** The other ways in that a user has; `auth` knows all kinds. */
export interface RevokeAllSessionsDeps {
  /** Ends the sessions of a user and, where asked to, their API keys; returns how many sessions. */
  readonly endAllSessions: (
    em: EntityManager,
    call: Call,
    user: User,
    options: { readonly exceptSessionId: string | undefined; readonly apiKeys: boolean },
  ) => Promise<number>;
}

export function revokeAllSessions(
  call: Call,
  deps: RevokeAllSessionsDeps,
  { userId, exceptSessionId, revokeApiKeys }: z.output<typeof revokeAllSessionsInput>,
): Promise<number> {
  return transaction(call.em, async (em) => {
    const user = await lockUser(em, userId);
    if (!user) throw userNotFound();
    return deps.endAllSessions(em, call, user, { exceptSessionId, apiKeys: revokeApiKeys });
  });
}
