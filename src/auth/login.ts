import type { EntityManager } from '@mikro-orm/postgresql';
import { z } from 'zod';
import { record } from '../audit/audit-log.ts';
import { type Client, client, vouchedClient } from '../audit/client.ts';
import type { LimitCredentials } from '../rate-limits/rate-limits.ts';
import type { Call } from '../rpc/call.ts';
import { beginSession } from '../sessions/begin-session.ts';
import { hasOneIdentifier, identifierFields } from '../users/lookup-user.ts';
import type { User } from '../users/user.entity.ts';
import { emailNotVerified } from './auth.errors.ts';
import { asOwner, type CheckPasswordDeps } from './check-password.ts';
import { presentedPassword } from './passwords/password-policy.ts';
import type { AccessTokens } from './tokens/access-tokens.ts';
import { type IssuedTokens, issueTokens } from './tokens/issue-tokens.ts';
import { createRefreshToken, hashRefreshToken } from './tokens/refresh-tokens.ts';

export const loginInput = z
  .object({ ...identifierFields, password: presentedPassword, client })
  // Also beside other violations: the caller is told all of them.
  .refine(hasOneIdentifier, { path: ['identifier'], error: 'must be either an email or a username', when: () => true });

type LoginInput = z.output<typeof loginInput>;

export interface LoginDeps extends CheckPasswordDeps {
  readonly accessTokens: AccessTokens;
  readonly refreshTtl: number;
  readonly maxSessions: number;
  readonly requireVerifiedEmail: boolean;
  readonly limitCredentials: LimitCredentials;
}

/**
 * An attempt is claimed, then the password is compared, then the session begins. Whatever is wrong with the account (unknown, locked
 * out by deactivation, without a password) looks and costs like a wrong password.
 */
export async function login(call: Call, deps: LoginDeps, input: LoginInput): Promise<IssuedTokens> {
  const [column, value] = input.email === undefined ? (['username', input.username ?? ''] as const) : (['email', input.email] as const);
  const { password } = input;
  const client = vouchedClient(call, input.client);
  await deps.limitCredentials(call, { rpc: 'Login', client, identifier: value });
  const attempt = await deps.attempts.claim(call, column, value);
  return asOwner(call, deps, { attempt, password, client }, async ({ outdated }) => {
    const newHash = outdated ? await deps.passwords.hash(password, call.signal) : undefined;
    return (em, user) => signIn(em, call, deps, user, client, newHash);
  });
}

async function signIn(
  em: EntityManager,
  call: Call,
  deps: LoginDeps,
  user: User,
  client: Client,
  newHash: string | undefined,
): Promise<IssuedTokens> {
  const now = call.now();
  if (deps.requireVerifiedEmail && !user.isEmailVerified()) throw emailNotVerified();
  user.failedAttempts = 0;
  user.lockedUntil = null;
  user.lastLoginAt = now;
  if (newHash !== undefined) await deps.passwords.upgrade(em, user, newHash);
  const refreshToken = createRefreshToken();
  const session = await beginSession(em, call, {
    user,
    client,
    refreshHash: hashRefreshToken(refreshToken),
    authMethods: ['pwd'],
    expiresAt: new Date(now.getTime() + deps.refreshTtl * 1000),
    maxSessions: deps.maxSessions,
    now,
  });
  record(em, call, { type: 'user.login', userId: user.id, client, metadata: { session_id: session.id } });
  return issueTokens(deps.accessTokens, user, session, refreshToken, now);
}
