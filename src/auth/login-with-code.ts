import { z } from 'zod';
import type { Call } from '../call/call.ts';
import { client, vouchedClient } from '../call/client.ts';
import { transaction } from '../database/transaction.ts';
import type { LimitCredentials } from '../rate-limits/rate-limits.ts';
import { lockUserWithPassword } from '../users/user.repository.ts';
import { email } from '../users/user-fields.ts';
import { invalidCredentials } from './auth.errors.ts';
import type { Attempts } from './lockout/attempts.ts';
import { lockAccountOf } from './lockout/login-attempt.repository.ts';
import type { OneTimeTokens } from './one-time-tokens/one-time-tokens.ts';
import { type SignInDeps, signIn } from './sign-in.ts';
import type { IssuedTokens } from './tokens/access-tokens.ts';
import { markEmailVerified } from './verify-email.ts';

export const loginWithCodeInput = z.object({
  email,
  code: z
    .string()
    .trim()
    .regex(/^\d{8}$/, 'must have 8 digits'),
  client,
});

export interface LoginWithCodeDeps extends SignInDeps {
  readonly attempts: Attempts;
  readonly oneTimeTokens: OneTimeTokens;
  readonly limitCredentials: LimitCredentials;
}

/** Nobody's: where there is no account, the same statements run and find nothing. */
const NOBODY = '00000000-0000-0000-0000-000000000000';

/** A code is a guess like a password, so it goes through the lockout; and a code of its own knows only so many wrong ones. */
export async function loginWithCode(
  call: Call,
  deps: LoginWithCodeDeps,
  input: z.output<typeof loginWithCodeInput>,
): Promise<IssuedTokens> {
  const client = vouchedClient(call, input.client);
  await deps.limitCredentials(call, { rpc: 'LoginWithCode', client, identifier: input.email });
  const attempt = await deps.attempts.claim(call, 'email', input.email);
  const userId = attempt.userId ?? NOBODY;
  // A wrong code is committed before the call fails: it counts. The traces of the failure are part of the same
  // transaction, so that there is as much to commit for an account that does not exist as for one that does; and
  // nothing is loaded that only one of them has.
  const tokens = await transaction(call.em, async (em) => {
    await lockAccountOf(em, attempt);
    const right = await deps.oneTimeTokens.takeCode(em, userId, input.code, call.now());
    const user = right ? await lockUserWithPassword(em, userId) : undefined;
    if (!user?.active) {
      await deps.attempts.recordFailure(em, call, { attempt, client });
      return undefined;
    }
    markEmailVerified(em, call, user);
    return signIn(em, call, deps, { user, client, authMethods: ['otp'], attempt });
  }).catch(async (error: unknown) => {
    await deps.attempts.release(call, attempt);
    throw error;
  });
  if (!tokens) throw invalidCredentials();
  return tokens;
}
