import type { Client } from '../audit/client.ts';
import type { Call } from '../rpc/call.ts';
import { invalidCredentials } from './auth.errors.ts';
import type { Attempts } from './lockout/attempts.ts';
import type { ClaimedAttempt } from './lockout/login-attempt.repository.ts';
import type { Verdict } from './passwords/password-scheme.ts';
import type { Passwords } from './passwords/passwords.ts';

export interface CheckPasswordDeps {
  readonly passwords: Passwords;
  readonly attempts: Attempts;
}

/**
 * Compares a password for a claimed attempt; throws INVALID_CREDENTIALS where it is wrong. The attempt is given back only if nothing was
 * compared (cancelled or shed while it waited): otherwise short deadlines would make for free guesses.
 */
export async function checkPassword(
  call: Call,
  { passwords, attempts }: CheckPasswordDeps,
  attempt: ClaimedAttempt,
  password: string,
  client: Client,
): Promise<Verdict> {
  const verdict = await passwords.verify(password, attempt.passwordHash, call.signal).catch(async (error: unknown) => {
    await attempts.release(call, attempt);
    throw error;
  });
  if (verdict.matches) return verdict;
  await attempts.fail(call, attempt, client);
  throw invalidCredentials();
}
