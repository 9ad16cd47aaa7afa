import type { EntityManager } from '@mikro-orm/postgresql';
import { z } from 'zod';
import { record } from '../audit/audit-log.ts';
import type { Call } from '../call/call.ts';
import { type Client, client, vouchedClient } from '../call/client.ts';
import { IdentityError } from '../call/errors.ts';
import { transaction } from '../database/transaction.ts';
import type { LimitCredentials } from '../rate-limits/rate-limits.ts';
import type { User } from '../users/user.entity.ts';
import { findUser, lockUserWithPassword } from '../users/user.repository.ts';
import { invalidResetToken } from './auth.errors.ts';
import { endCredentialsBy } from './credentials/credentials.ts';
import { recordLiftedLock, settleSuccess } from './lockout/forget-failures.ts';
import type { OneTimeTokens } from './one-time-tokens/one-time-tokens.ts';
import { turnOf } from './passwords/hash-pool.ts';
import { presentedPassword } from './passwords/password-policy.ts';
import { type Passwords, personalData } from './passwords/passwords.ts';
import { mailedToken, markEmailVerified } from './verify-email.ts';

export const resetPasswordInput = z.object({ resetToken: mailedToken, newPassword: presentedPassword, client });

export interface ResetPasswordDeps {
  readonly passwords: Passwords;
  readonly oneTimeTokens: OneTimeTokens;
  readonly limitCredentials: LimitCredentials;
}

/**
 * The token is used up only together with the change: neither a refused password nor a full hash queue costs it. But it is told only so often that
 * a password is one of the latest: whoever reads the mail could guess the current one by that, past the lockout. As there, an attempt is
 * counted before anything is compared (ADR 5).
 */
export async function resetPassword(call: Call, deps: ResetPasswordDeps, input: z.output<typeof resetPasswordInput>): Promise<void> {
  const { resetToken, newPassword } = input;
  const client = vouchedClient(call, input.client);
  await deps.limitCredentials(call, { rpc: 'ResetPassword', client });
  const token = await deps.oneTimeTokens.find(call.em, 'password_reset', resetToken, call.now());
  const owner = token && (await findUser(call.em, token.userId));
  if (!token || !owner?.active) throw invalidResetToken();
  if (!(await deps.oneTimeTokens.attempt(call.uncancelled().em, token))) throw invalidResetToken();
  const asked = { ...personalData(owner), password: newPassword, field: 'new_password', userId: owner.id, client };
  try {
    await deps.passwords.requireAcceptable(call, asked);
    const newHash = await deps.passwords.hash(newPassword, turnOf(call, client));
    await transaction(call.em, async (em) => {
      const user = await lockUserWithPassword(em, owner.id);
      if (!user?.active || !(await deps.oneTimeTokens.take(em, token))) throw invalidResetToken();
      await giveNewPassword(em, call, deps, { user, newHash, client });
    });
  } catch (error) {
    if (!isReused(error)) await deps.oneTimeTokens.takeBack(call.uncancelled().em, token);
    throw error;
  }
}

const isReused = (error: unknown) => error instanceof IdentityError && error.reason === 'PASSWORD_REUSED';

interface NewPassword {
  readonly user: User;
  readonly newHash: string;
  readonly client: Client;
}

/** Sets the new password. Everybody who came in with the old one, or asked for a code, is out. */
async function giveNewPassword(em: EntityManager, call: Call, deps: ResetPasswordDeps, { user, newHash, client }: NewPassword) {
  recordLiftedLock(em, call, user, 'reset');
  await settleSuccess(em, call, user);
  user.noteInteraction(call.now());
  const isFirstProof = await markEmailVerified(em, call, user);
  await deps.passwords.replace(em, user, newHash, call.now());
  // The first proof of the mailbox has ended all of it already.
  if (!isFirstProof) await endCredentialsBy(em, call, 'password_reset', user);
  record(em, call, { type: 'user.password_changed', userId: user.id, client, metadata: { by: 'reset' } });
}
