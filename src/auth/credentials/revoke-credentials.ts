import { z } from 'zod';
import { requireMayActOn } from '../../access/roles/grants.ts';
import type { Call } from '../../call/call.ts';
import { uuid } from '../../call/validation.ts';
import { transaction } from '../../database/transaction.ts';
import { userNotFound } from '../../users/user.errors.ts';
import { lockUserWithPassword } from '../../users/user.repository.ts';
import { CREDENTIAL_KINDS, type CredentialKind } from './credential-policy.ts';
import { type EndedCredentials, endCredentials } from './credentials.ts';

export const revokeCredentialsInput = z.object({
  userId: uuid,
  kinds: z
    .array(z.custom<CredentialKind>((kind) => kind !== undefined, 'must be a kind of credential'))
    .min(1, 'must not be empty')
    .transform((kinds) => CREDENTIAL_KINDS.filter((kind) => kinds.includes(kind))),
});

/** Ends all that a user has of the given kinds, in one transaction. */
export function revokeCredentials(call: Call, { userId, kinds }: z.output<typeof revokeCredentialsInput>): Promise<EndedCredentials> {
  return transaction(call.em, async (em) => {
    const user = await lockUserWithPassword(em, userId);
    if (!user) throw userNotFound();
    await requireMayActOn(em, call, { userId });
    return endCredentials(em, call, kinds, { user, reason: 'revoked' });
  });
}
