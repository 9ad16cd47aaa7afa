import type { EntityManager } from '@mikro-orm/postgresql';
import { z } from 'zod';
import { record } from '../audit/audit-log.ts';
import type { Call } from '../call/call.ts';
import { type Client, client, vouchedClient } from '../call/client.ts';
import { transaction } from '../database/transaction.ts';
import type { LimitCredentials } from '../rate-limits/rate-limits.ts';
import { findUserIdByEmail, lockUserWithPassword } from '../users/user.repository.ts';
import { email } from '../users/user-fields.ts';
import { invalidCredentials } from './auth.errors.ts';
import { recordLiftedLock } from './lockout/forget-failures.ts';
import type { CodeAttempt, OneTimeTokens } from './one-time-tokens/one-time-tokens.ts';
import { type SignInDeps, signIn } from './sign-in.ts';
import type { IssuedTokens } from './tokens/access-tokens.ts';
import { markEmailVerified } from './verify-email.ts';

/** People type a code in groups. */
const SEPARATORS = /[\s\p{Pd}]/gu;

export const loginWithCodeInput = z.object({
  email,
  code: z
    .string()
    .transform((code) => code.replace(SEPARATORS, ''))
    .pipe(z.string().regex(/^\d{8}$/, 'must have 8 digits')),
  client,
});

export interface LoginWithCodeDeps extends SignInDeps {
  readonly oneTimeTokens: OneTimeTokens;
  readonly limitCredentials: LimitCredentials;
}

/** Nobody's: where there is no account, the same statements run and find nothing. */
const NOBODY = '00000000-0000-0000-0000-000000000000';

/**
 * Codes have a count of attempts of their own, beside the lockout of passwords: a stranger who guesses passwords cannot keep the owner from coming
 * in by mail (ADR 19). As there, an attempt is counted before anything is compared (ADR 5).
 */
export async function loginWithCode(
  call: Call,
  deps: LoginWithCodeDeps,
  input: z.output<typeof loginWithCodeInput>,
): Promise<IssuedTokens> {
  const client = vouchedClient(call, input.client);
  await deps.limitCredentials(call, { rpc: 'LoginWithCode', client, identifier: input.email });
  const userId = await findUserIdByEmail(call.em, input.email);
  const attempt = await deps.oneTimeTokens.attemptCode(call.uncancelled().em, userId ?? NOBODY, input.code, call.now());
  const tokens = attempt.matching === undefined ? undefined : await signInByCode(call, deps, attempt, client);
  if (tokens) return tokens;
  // Written down although nobody may wait any more: the attempt is counted, too.
  await transaction(call.uncancelled().em, async (em) =>
    record(em, call, { type: 'user.login_failed', ...(userId !== undefined && { userId }), client }),
  );
  throw invalidCredentials();
}

/** Undefined where somebody else was faster with the code, or the user may not come in any more. */
async function signInByCode(call: Call, deps: LoginWithCodeDeps, attempt: CodeAttempt, client: Client): Promise<IssuedTokens | undefined> {
  const begin = async (em: EntityManager) => {
    const user = await lockUserWithPassword(em, attempt.userId);
    if (!user?.active || !(await deps.oneTimeTokens.takeCode(em, attempt))) return undefined;
    recordLiftedLock(em, call, user, 'code');
    await markEmailVerified(em, call, user);
    return signIn(em, call, deps, { user, client, authMethods: ['otp'] });
  };
  try {
    return await transaction(call.em, begin);
  } catch (error) {
    await deps.oneTimeTokens.release(call.uncancelled().em, attempt);
    throw error;
  }
}
