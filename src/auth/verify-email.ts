import type { EntityManager } from '@mikro-orm/postgresql';
import { z } from 'zod';
import { record } from '../audit/audit-log.ts';
import type { Call } from '../call/call.ts';
import { transaction } from '../database/transaction.ts';
import type { User } from '../users/user.entity.ts';
import { lockUser } from '../users/user.repository.ts';
import { invalidVerificationToken } from './auth.errors.ts';
import type { OneTimeTokens } from './one-time-tokens/one-time-tokens.ts';

export const mailedToken = z.string().min(1, 'is required').max(512, 'is not a token of a mail');

export const verifyEmailInput = z.object({ verificationToken: mailedToken });

export interface VerifyEmailDeps {
  readonly oneTimeTokens: OneTimeTokens;
}

/**
 * The token is not used up: mail clients open links before their readers do, and a lost answer is asked for again. It does no more than it has
 * done, for as long as it lives.
 */
export function verifyEmail(call: Call, deps: VerifyEmailDeps, { verificationToken }: z.output<typeof verifyEmailInput>): Promise<User> {
  return transaction(call.em, async (em) => {
    const find = () => deps.oneTimeTokens.find(em, 'email_verification', verificationToken, call.now());
    const token = await find();
    const user = token && (await lockUser(em, token.userId));
    // Again under the lock: a newer token may have taken its place meanwhile.
    if (!user?.active || (await find())?.id !== token?.id) throw invalidVerificationToken();
    markEmailVerified(em, call, user);
    user.noteInteraction(call.now());
    return user;
  });
}

/**
 * Marks the email of a user as verified: somebody who presents a secret that was mailed to an address reads the mail
 * there.
 */
export function markEmailVerified(em: EntityManager, call: Call, user: User): void {
  if (user.isEmailVerified()) return;
  user.emailVerifiedAt = call.now();
  record(em, call, { type: 'user.email_verified', userId: user.id });
}
