import { z } from 'zod';
import type { Call } from '../call/call.ts';
import { transaction } from '../database/transaction.ts';
import { endSession } from '../sessions/end-sessions.ts';
import { lockSessionOfFamily } from '../sessions/session.repository.ts';
import { presentedRefreshToken } from './refresh-token.ts';
import { hashFamilyOf } from './tokens/refresh-tokens.ts';

export const logoutInput = z.object({ refreshToken: presentedRefreshToken });

/** Ends the session of a token, whichever of its tokens it is; says nothing about tokens that it does not know. */
export async function logout(call: Call, { refreshToken }: z.output<typeof logoutInput>): Promise<void> {
  await transaction(call.em, async (em) => {
    const session = await lockSessionOfFamily(em, hashFamilyOf(refreshToken));
    if (!session?.isLive(call.now())) return;
    session.user.noteInteraction(call.now());
    endSession(em, call, session, 'logout');
  });
}
