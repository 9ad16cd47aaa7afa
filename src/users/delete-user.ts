import type { z } from 'zod';
import { anonymizeEventsOfUser } from '../audit/audit-event.repository.ts';
import { record } from '../audit/audit-log.ts';
import type { Call } from '../call/call.ts';
import { transaction } from '../database/transaction.ts';
import { type ActOnUserDeps, lockUserToActOn } from './act-on-user.ts';
import { getUserInput } from './get-user.ts';
import type { PersonalData } from './personal-data.ts';

export const deleteUserInput = getUserInput;

export interface DeleteUserDeps extends ActOnUserDeps {
  readonly personalData: readonly PersonalData[];
  /** Keeps an address readable for the service alone, for the one mail that is still to be sent to it. */
  readonly sealRecipient: (email: string) => string;
}

export interface Receipt {
  readonly userId: string;
  readonly deleted: readonly { readonly kind: string; readonly count: number }[];
  readonly kept: readonly { readonly kind: string; readonly count: number; readonly reason: string }[];
}

const WHY_AUDIT_IS_KEPT = 'accountability (GDPR art. 5(2)): without user, address, agent and device';

/** Erasure (GDPR art. 17) in one transaction. */
export function deleteUser(call: Call, deps: DeleteUserDeps, { userId }: z.output<typeof deleteUserInput>): Promise<Receipt> {
  const { personalData, sealRecipient } = deps;
  return transaction(call.em, async (em) => {
    const user = await lockUserToActOn(em, call, deps, userId);
    const deleted = [
      { kind: 'user', count: 1 },
      { kind: 'profile', count: 1 },
    ];
    for (const { kind, erase } of personalData) if (erase) deleted.push({ kind, count: await erase(em, userId) });
    const events = await anonymizeEventsOfUser(em, userId);
    em.remove(user);
    record(em, call, {
      type: 'user.deleted',
      erasedUserId: userId,
      payload: { recipient: sealRecipient(user.email) },
    });
    return { userId, deleted, kept: [{ kind: 'audit_events', count: events, reason: WHY_AUDIT_IS_KEPT }] };
  });
}
