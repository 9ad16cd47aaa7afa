import { z } from 'zod';
import { mayTouch } from '../call/authorize.ts';
import type { Call } from '../call/call.ts';
import { uuid } from '../call/validation.ts';
import { transaction } from '../database/transaction.ts';
import { endSession } from './end-sessions.ts';
import { sessionNotFound } from './session.errors.ts';
import { lockSessionWithUser } from './session.repository.ts';

export const revokeSessionInput = z.object({ sessionId: uuid });

export function revokeSession(call: Call, { sessionId }: z.output<typeof revokeSessionInput>): Promise<void> {
  return transaction(call.em, async (em) => {
    const session = await lockSessionWithUser(em, sessionId);
    if (!session || !mayTouch(call, session.user.id)) throw sessionNotFound();
    if (session.isLive(call.now())) endSession(em, call, session, 'revoked');
  });
}
