import { z } from 'zod';
import { record } from '../../audit/audit-log.ts';
import type { Call } from '../../call/call.ts';
import { transaction } from '../../database/transaction.ts';
import type { User } from '../../users/user.entity.ts';
import { lockUser } from '../../users/user.repository.ts';
import { invalidRevertToken } from '../auth.errors.ts';
import { endCredentialsBy } from '../credentials/credentials.ts';
import { mailedToken } from '../verify-email.ts';
import { deleteConfirmedChanges, findChangeByLink, findUserIdByLink } from './email-change.repository.ts';
import { decideRevert } from './email-change-policy.ts';
import type { EmailChanges } from './email-changes.ts';

export const revertEmailChangeInput = z.object({ revertToken: mailedToken });

export interface RevertEmailChangeDeps {
  readonly emailChanges: EmailChanges;
  /** Keeps an address readable for the service alone, for the mail that tells it of its removal. */
  readonly sealRecipient: (email: string) => string;
}

/** The reader of the mail says that the change was not theirs: all that somebody else may have set up ends with it. */
export function revertEmailChange(
  call: Call,
  { emailChanges, sealRecipient }: RevertEmailChangeDeps,
  { revertToken }: z.output<typeof revertEmailChangeInput>,
): Promise<User> {
  const link = emailChanges.revertHash(revertToken);
  return transaction(call.em, async (em) => {
    const userId = await findUserIdByLink(em, link);
    const user = userId === undefined ? null : await lockUser(em, userId);
    const change = user?.active ? await findChangeByLink(em, link) : null;
    const earlier = change && decideRevert(change, call.now());
    if (!user || !earlier) throw invalidRevertToken();
    const recipient = sealRecipient(user.email);
    user.email = earlier.email;
    user.emailVerifiedAt = call.now();
    // Those that came after it as well: their links would lead back to the addresses that it takes away.
    await deleteConfirmedChanges(em, user.id, earlier.from);
    await endCredentialsBy(em, call, 'email_change_reverted', user);
    record(em, call, {
      type: 'user.email_change_reverted',
      userId: user.id,
      metadata: { email_change_id: change.id },
      payload: { recipient },
    });
    return user;
  });
}
