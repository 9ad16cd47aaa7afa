import type { EntityManager } from '@mikro-orm/postgresql';
import type { z } from 'zod';
import { anonymizeEventsOfUser } from '../audit/audit-event.repository.ts';
import { record } from '../audit/audit-log.ts';
import { transaction } from '../database/transaction.ts';
import { ANONYMOUS, type Call } from '../rpc/call.ts';
import { getUserInput } from './get-user.ts';
import { userNotFound } from './user.errors.ts';
import { lockUser } from './user.repository.ts';

export const deleteUserInput = getUserInput;

/** Something of another feature that goes with the user; the foreign keys delete it, this counts it for the receipt. */
export interface Belonging {
  readonly kind: string;
  count(em: EntityManager, userId: string): Promise<number>;
}

export interface DeleteUserDeps {
  readonly belongings: readonly Belonging[];
}

export interface Receipt {
  readonly userId: string;
  readonly deleted: readonly { readonly kind: string; readonly count: number }[];
  readonly kept: readonly { readonly kind: string; readonly count: number; readonly reason: string }[];
}

const WHY_AUDIT_IS_KEPT = 'accountability (GDPR art. 5(2)): without user, address, agent and device';

/** Erasure (GDPR art. 17) in one transaction. */
export function deleteUser(call: Call, { belongings }: DeleteUserDeps, { userId }: z.output<typeof deleteUserInput>): Promise<Receipt> {
  return transaction(call.em, async (em) => {
    const user = await lockUser(em, userId);
    if (!user) throw userNotFound();
    const deleted = [
      { kind: 'user', count: 1 },
      { kind: 'profile', count: 1 },
    ];
    for (const { kind, count } of belongings) deleted.push({ kind, count: await count(em, userId) });
    const events = await anonymizeEventsOfUser(em, userId);
    em.remove(user);
    record(em, erasedActor(call, userId), { type: 'user.deleted' });
    return { userId, deleted, kept: [{ kind: 'audit_events', count: events, reason: WHY_AUDIT_IS_KEPT }] };
  });
}

/** Who erases themself leaves no name in the audit trail, either. */
function erasedActor(call: Call, userId: string): Call {
  return call.caller.kind === 'user' && call.caller.userId === userId ? { ...call, caller: ANONYMOUS } : call;
}
