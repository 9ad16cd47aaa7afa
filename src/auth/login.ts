import { z } from 'zod';
import type { Call } from '../call/call.ts';
import { client, vouchedClient } from '../call/client.ts';
import type { LimitCredentials } from '../rate-limits/rate-limits.ts';
import { hasOneIdentifier, identifierFields } from '../users/user-fields.ts';
import { emailNotVerified } from './auth.errors.ts';
import { turnOf } from './passwords/hash-pool.ts';
import { presentedPassword } from './passwords/password-policy.ts';
import { type SignInDeps, signIn } from './sign-in.ts';
import type { IssuedTokens } from './tokens/access-tokens.ts';
import { type WithVerifiedPasswordDeps, withVerifiedPassword } from './with-verified-password.ts';

export const loginInput = z
  .object({ ...identifierFields, password: presentedPassword, client })
  // Also beside other violations: the caller is told all of them.
  .refine(hasOneIdentifier, { path: ['identifier'], error: 'must be either an email or a username', when: () => true });

type LoginInput = z.output<typeof loginInput>;

export interface LoginDeps extends WithVerifiedPasswordDeps, SignInDeps {
  readonly requireVerifiedEmail: boolean;
  readonly limitCredentials: LimitCredentials;
}

/** RFC 8176. */
const AUTH_METHODS = ['pwd'];

/**
 * An attempt is claimed, then the password is compared, then the session begins. Any fault of the account (it is
 * unknown, deactivated, or without a password) looks and costs like a wrong password.
 */
export async function login(call: Call, deps: LoginDeps, input: LoginInput): Promise<IssuedTokens> {
  const [column, value] = input.email === undefined ? (['username', input.username ?? ''] as const) : (['email', input.email] as const);
  const { password } = input;
  const client = vouchedClient(call, input.client);
  const turn = turnOf(call, client);
  // A device that may be known is asked about first: if it is, it goes before others.
  if (!client.deviceToken) deps.passwords.requireRoom(turn);
  await deps.limitCredentials(call, { rpc: 'Login', client, identifier: value });
  const attempt = await deps.attempts.claim(call, column, value, client);
  return withVerifiedPassword(call, deps, { attempt, password, client }, async ({ outdated }, withLockedUser) => {
    const newHash = outdated ? await deps.passwords.hash(password, turn) : undefined;
    return withLockedUser(async (em, user) => {
      if (deps.requireVerifiedEmail && !user.isEmailVerified()) throw emailNotVerified();
      if (newHash !== undefined) await deps.passwords.upgrade(em, user, newHash);
      return signIn(em, call, deps, { user, client, authMethods: AUTH_METHODS, attempt });
    });
  });
}
