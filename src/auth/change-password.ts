import { z } from 'zod';
import { record } from '../audit/audit-log.ts';
import { NO_CLIENT } from '../audit/client.ts';
import { transaction } from '../database/transaction.ts';
import type { Call } from '../rpc/call.ts';
import { uuid } from '../rpc/validation.ts';
import type { EndSessions } from '../users/deactivate-user.ts';
import { userNotFound } from '../users/user.errors.ts';
import { findUser, lockUserWithPassword } from '../users/user.repository.ts';
import { invalidCredentials, passwordReused } from './auth.errors.ts';
import { type CheckPasswordDeps, checkPassword } from './check-password.ts';
import type { ClaimedAttempt } from './lockout/login-attempt.repository.ts';
import { presentedPassword } from './passwords/password-policy.ts';

export interface ChangePasswordDeps extends CheckPasswordDeps {
  readonly endSessions: EndSessions;
}

export const changePasswordInput = ({ passwords }: ChangePasswordDeps) =>
  z.object({ userId: uuid, currentPassword: presentedPassword, newPassword: passwords.schema });

type ChangePasswordInput = z.output<ReturnType<typeof changePasswordInput>>;

/** The current password is a guess like any other, so it goes through the lockout. */
export async function changePassword(call: Call, deps: ChangePasswordDeps, input: ChangePasswordInput): Promise<void> {
  const user = await findUser(call.em, input.userId);
  if (!user) throw userNotFound();
  const attempt = await deps.attempts.claim(call, 'id', user.id);
  await checkPassword(call, deps, attempt, input.currentPassword, NO_CLIENT);
  try {
    if (await deps.passwords.wasUsed(call, user.id, input.newPassword)) throw passwordReused();
    await replacePassword(call, deps, attempt, await deps.passwords.hash(input.newPassword, call.signal));
  } catch (error) {
    // The current password was right: whatever else went wrong, it was no guess.
    await deps.attempts.release(call, attempt);
    throw error;
  }
}

/** Password, history, sessions and audit event in one transaction. */
async function replacePassword(call: Call, deps: ChangePasswordDeps, attempt: ClaimedAttempt, newHash: string): Promise<void> {
  await transaction(call.em, async (em) => {
    const user = await lockUserWithPassword(em, attempt.userId ?? '');
    // Deactivated, deleted or given another password since it was compared.
    if (!user?.active || user.passwordHash !== attempt.passwordHash) throw invalidCredentials();
    user.failedAttempts = 0;
    user.lockedUntil = null;
    await deps.passwords.pruneHistory(em, user.id);
    deps.passwords.give(em, user, newHash, call.now());
    await deps.endSessions(em, call, user.id, 'password_changed', ownSession(call, user.id));
    record(em, call, { type: 'user.password_changed', userId: user.id });
  });
}

/** The session in which the user changes the password goes on. */
function ownSession({ caller }: Call, userId: string): string | undefined {
  return caller.kind === 'user' && caller.userId === userId ? caller.sessionId : undefined;
}
