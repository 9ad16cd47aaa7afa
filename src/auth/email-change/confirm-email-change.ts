import type { EntityManager } from '@mikro-orm/postgresql';
import { z } from 'zod';
import { record } from '../../audit/audit-log.ts';
import { mayTouch, ownSessionId } from '../../call/authorize.ts';
import type { Call } from '../../call/call.ts';
import { transaction } from '../../database/transaction.ts';
import type { User } from '../../users/user.entity.ts';
import { lockUser } from '../../users/user.repository.ts';
import { invalidEmailChangeToken } from '../auth.errors.ts';
import { endCredentialsBy } from '../credentials/credentials.ts';
import { mailedToken } from '../verify-email.ts';
import type { EmailChange } from './email-change.entity.ts';
import { findChangeByLink, findUserIdByLink } from './email-change.repository.ts';
import { decideEmailChange, revertExpiry } from './email-change-policy.ts';
import type { EmailChanges } from './email-changes.ts';

export const confirmEmailChangeInput = z.object({ emailChangeToken: mailedToken });

export interface ConfirmEmailChangeDeps {
  readonly emailChanges: EmailChanges;
}

/** The unique index alone decides whether the address is free: a check beforehand could be overtaken. */
export function confirmEmailChange(
  call: Call,
  { emailChanges }: ConfirmEmailChangeDeps,
  { emailChangeToken }: z.output<typeof confirmEmailChangeInput>,
): Promise<User> {
  const link = emailChanges.confirmHash(emailChangeToken);
  return transaction(call.em, async (em) => {
    const userId = await findUserIdByLink(em, link);
    const user = userId === undefined ? null : await lockUser(em, userId);
    // Under the lock: a newer request may have taken its place meanwhile, or somebody has confirmed it.
    const change = user?.active ? await findChangeByLink(em, link) : null;
    if (!user || !change || !mayTouch(call, user.id)) throw invalidEmailChangeToken();
    switch (decideEmailChange(change, user.email, call.now())) {
      case 'change':
        await changeEmail(em, call, user, change);
        return user;
      case 'repeat':
        return user;
      case 'refused':
        throw invalidEmailChangeToken();
    }
  });
}

/**
 * An address that was never verified before is no reason to end more: the user has asked for the change themself, and moves to an address that
 * they have proven (ADR 25).
 */
async function changeEmail(em: EntityManager, call: Call, user: User, change: EmailChange): Promise<void> {
  const now = call.now();
  Object.assign(change, { oldEmail: user.email, confirmedAt: now, expiresAt: revertExpiry(now) });
  Object.assign(user, { email: change.newEmail, emailVerifiedAt: now });
  // At once: where somebody else has the address, there is nothing more to do. And the change is not a pending one any more, which would end.
  await em.flush();
  await endCredentialsBy(em, call, 'email_changed', user, { exceptSessionId: ownSessionId(call, user.id) });
  record(em, call, { type: 'user.email_changed', userId: user.id, metadata: { email_change_id: change.id } });
}
