import { z } from 'zod';
import { record } from '../audit/audit-log.ts';
import type { Call } from '../call/call.ts';
import { transaction } from '../database/transaction.ts';
import { endGeneration } from './session-generation.repository.ts';

export const revokeEverySessionInput = z.custom<object>();

/**
 * Ends all sessions of all users, that of the call included (ASVS 7.4.5), at the same cost however many there are. A sign-in at the same time
 * begins either before, and is ended with the others, or after.
 */
export function revokeEverySession(call: Call): Promise<void> {
  return transaction(call.em, async (em) => {
    await endGeneration(em, call.now());
    record(em, call, { type: 'session.all_revoked' });
  });
}
