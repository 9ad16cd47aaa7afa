import { z } from 'zod';
import type { Call } from '../call/call.ts';
import { uuid } from '../call/validation.ts';
import { transaction } from '../database/transaction.ts';
import { userNotFound } from '../users/user.errors.ts';
import { lockUser } from '../users/user.repository.ts';
import { endSessions } from './end-sessions.ts';

export const revokeAllSessionsInput = z.object({ userId: uuid, exceptSessionId: uuid.optional() });

export function revokeAllSessions(call: Call, { userId, exceptSessionId }: z.output<typeof revokeAllSessionsInput>): Promise<number> {
  return transaction(call.em, async (em) => {
    if (!(await lockUser(em, userId))) throw userNotFound();
    return endSessions(em, call, userId, 'revoked', exceptSessionId);
  });
}
