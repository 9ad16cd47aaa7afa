import type { EntityManager } from '@mikro-orm/postgresql';
import { z } from 'zod';
import type { Call } from '../call/call.ts';
import { type Client, client, vouchedClient } from '../call/client.ts';
import type { LimitCredentials } from '../rate-limits/rate-limits.ts';
import { hasOneIdentifier, identifierFields } from '../users/lookup-user.ts';
import type { User } from '../users/user.entity.ts';
import { type AsOwnerDeps, asOwner, type OwnersTask } from './as-owner.ts';
import { emailNotVerified } from './auth.errors.ts';
import { presentedPassword } from './passwords/password-policy.ts';
import { type SignInAtOnceDeps, signIn, signInAtOnce } from './sign-in.ts';
import type { IssuedTokens } from './tokens/issue-tokens.ts';

export const loginInput = z
  .object({ ...identifierFields, password: presentedPassword, client })
  // Also beside other violations: the caller is told all of them.
  .refine(hasOneIdentifier, { path: ['identifier'], error: 'must be either an email or a username', when: () => true });

type LoginInput = z.output<typeof loginInput>;

export interface LoginDeps extends AsOwnerDeps, SignInAtOnceDeps {
  readonly limitCredentials: LimitCredentials;
}

/** RFC 8176. */
const AUTH_METHODS = ['pwd'];

/**
 * An attempt is claimed, then the password is compared, then the session begins. Whatever is wrong with the account (unknown, locked
 * out by deactivation, without a password) looks and costs like a wrong password.
 */
export async function login(call: Call, deps: LoginDeps, input: LoginInput): Promise<IssuedTokens> {
  const [column, value] = input.email === undefined ? (['username', input.username ?? ''] as const) : (['email', input.email] as const);
  const { password } = input;
  const client = vouchedClient(call, input.client);
  deps.passwords.requireRoom();
  await deps.limitCredentials(call, { rpc: 'Login', client, identifier: value });
  const attempt = await deps.attempts.claim(call, column, value);
  const task: OwnersTask<IssuedTokens> = {
    async atOnce({ outdated }, { userId, passwordHash }) {
      if (outdated || userId === null || passwordHash === null) return undefined;
      return signInAtOnce(call, deps, { userId, passwordHash, client, authMethods: AUTH_METHODS });
    },
    async prepare({ outdated }) {
      const newHash = outdated ? await deps.passwords.hash(password, call.signal) : undefined;
      return (em, user) => signInWithPassword(em, call, deps, user, client, newHash);
    },
  };
  return asOwner(call, deps, { attempt, password, client }, task);
}

async function signInWithPassword(
  em: EntityManager,
  call: Call,
  deps: LoginDeps,
  user: User,
  client: Client,
  newHash: string | undefined,
): Promise<IssuedTokens> {
  if (deps.requireVerifiedEmail && !user.isEmailVerified()) throw emailNotVerified();
  if (newHash !== undefined) await deps.passwords.upgrade(em, user, newHash);
  return signIn(em, call, deps, { user, client, authMethods: AUTH_METHODS });
}
