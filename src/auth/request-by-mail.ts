import { z } from 'zod';
import type { AuditEventType } from '../audit/audit-event-types.ts';
import { record } from '../audit/audit-log.ts';
import type { Call } from '../call/call.ts';
import { client, vouchedClient } from '../call/client.ts';
import { transaction } from '../database/transaction.ts';
import type { BoundRecipients } from '../rate-limits/mail-bounds.ts';
import type { LimitCredentials } from '../rate-limits/rate-limits.ts';
import { lockUserIdByEmail } from '../users/user.repository.ts';
import { email } from '../users/user-fields.ts';

export const requestByMailInput = z.object({ email, client });

export type RequestByMailInput = z.output<typeof requestByMailInput>;

export interface RequestByMailDeps {
  readonly limitCredentials: LimitCredentials;
  readonly boundRecipients: BoundRecipients;
}

export function requestEmailVerification(call: Call, deps: RequestByMailDeps, input: RequestByMailInput): Promise<void> {
  return requestByMail(call, deps, { rpc: 'RequestEmailVerification', type: 'user.email_verification_requested' }, input);
}

export function requestPasswordReset(call: Call, deps: RequestByMailDeps, input: RequestByMailInput): Promise<void> {
  return requestByMail(call, deps, { rpc: 'RequestPasswordReset', type: 'user.password_reset_requested' }, input);
}

export function requestLoginCode(call: Call, deps: RequestByMailDeps, input: RequestByMailInput): Promise<void> {
  return requestByMail(call, deps, { rpc: 'RequestLoginCode', type: 'user.login_code_requested' }, input);
}

/**
 * Writes down that somebody wants something sent to an address that they say is theirs: with the account or, where
 * there is none, without. The same statements run either way, so that neither the answer nor the time that it takes
 * tells which. The consumer `mail` of the events decides later whether a mail is due, where nobody waits for it; none is for a sender who has
 * asked for too many addresses.
 */
async function requestByMail(
  call: Call,
  deps: RequestByMailDeps,
  { rpc, type }: { readonly rpc: string; readonly type: AuditEventType },
  input: RequestByMailInput,
): Promise<void> {
  const client = vouchedClient(call, input.client);
  await deps.limitCredentials(call, { rpc, client, identifier: input.email });
  const metadata = await deps.boundRecipients(call, client, input.email);
  await transaction(call.em, async (em) => {
    const userId = await lockUserIdByEmail(em, input.email);
    record(em, call, { type, client, metadata, ...(userId !== undefined && { userId }) });
  });
}
