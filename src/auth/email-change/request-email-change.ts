import { z } from 'zod';
import { requireMayActOn } from '../../access/roles/grants.ts';
import { record } from '../../audit/audit-log.ts';
import type { Call } from '../../call/call.ts';
import { client, vouchedClient } from '../../call/client.ts';
import { uuid } from '../../call/validation.ts';
import { transaction } from '../../database/transaction.ts';
import type { BoundRecipients } from '../../rate-limits/mail-bounds.ts';
import type { LimitCredentials } from '../../rate-limits/rate-limits.ts';
import { userNotFound } from '../../users/user.errors.ts';
import { lockUser } from '../../users/user.repository.ts';
import { email } from '../../users/user-fields.ts';
import { emailUnchanged } from '../auth.errors.ts';
import type { EmailChanges } from './email-changes.ts';

export const requestEmailChangeInput = z.object({ userId: uuid, newEmail: email, client });

export interface RequestEmailChangeDeps {
  readonly emailChanges: EmailChanges;
  readonly limitCredentials: LimitCredentials;
  readonly boundRecipients: BoundRecipients;
}

/**
 * Writes down which address the user wants to have, and does not look whether anybody has it: that is found out when the mail is sent, where
 * nobody waits for it. So neither the answer nor the time that it takes tells.
 */
export async function requestEmailChange(
  call: Call,
  deps: RequestEmailChangeDeps,
  input: z.output<typeof requestEmailChangeInput>,
): Promise<void> {
  const { userId, newEmail } = input;
  const client = vouchedClient(call, input.client);
  await deps.limitCredentials(call, { rpc: 'RequestEmailChange', client, identifier: newEmail });
  const bound = await deps.boundRecipients(call, client, newEmail);
  await transaction(call.em, async (em) => {
    const user = await lockUser(em, userId);
    if (!user) throw userNotFound();
    await requireMayActOn(em, call, { userId });
    if (user.email === newEmail) throw emailUnchanged();
    const id = await deps.emailChanges.request(em, user, newEmail, call.now());
    record(em, call, { type: 'user.email_change_requested', userId, client, metadata: { ...bound, email_change_id: id } });
  });
}
