import type { EntityManager } from '@mikro-orm/postgresql';
import { z } from 'zod';
import { record } from '../audit/audit-log.ts';
import { client } from '../audit/client.ts';
import { transaction } from '../database/transaction.ts';
import type { Call } from '../rpc/call.ts';
import { beginSession } from '../sessions/begin-session.ts';
import { hasOneIdentifier, identifierFields } from '../users/lookup-user.ts';
import type { User } from '../users/user.entity.ts';
import { lockUserWithPassword } from '../users/user.repository.ts';
import { emailNotVerified, invalidCredentials } from './auth.errors.ts';
import { checkPassword } from './check-password.ts';
import type { Attempts } from './lockout/attempts.ts';
import type { ClaimedAttempt } from './lockout/login-attempt.repository.ts';
import { presentedPassword } from './passwords/password-policy.ts';
import type { Passwords } from './passwords/passwords.ts';
import type { AccessTokens } from './tokens/access-tokens.ts';
import { type IssuedTokens, issueTokens } from './tokens/issue-tokens.ts';
import { createRefreshToken, hashRefreshToken } from './tokens/refresh-tokens.ts';

export const loginInput = z
  .object({ ...identifierFields, password: presentedPassword, client })
  .refine(hasOneIdentifier, { path: ['identifier'], error: 'must be either an email or a username' });

type LoginInput = z.output<typeof loginInput>;

export interface LoginDeps {
  readonly passwords: Passwords;
  readonly attempts: Attempts;
  readonly accessTokens: AccessTokens;
  readonly refreshTtl: number;
  readonly maxSessions: number;
  readonly requireVerifiedEmail: boolean;
}

/**
 * An attempt is claimed, then the password is compared, then the session begins. Whatever is wrong with the account (unknown, locked
 * out by deactivation, without a password) looks and costs like a wrong password.
 */
export async function login(call: Call, deps: LoginDeps, input: LoginInput): Promise<IssuedTokens> {
  const [column, value] = input.email === undefined ? (['username', input.username ?? ''] as const) : (['email', input.email] as const);
  const attempt = await deps.attempts.claim(call, column, value);
  const { outdated } = await checkPassword(call, deps, attempt, input.password, input.client);
  try {
    const newHash = outdated ? await deps.passwords.hash(input.password, call.signal) : undefined;
    return await transaction(call.em, (em) => signIn(em, call, deps, attempt, input, newHash));
  } catch (error) {
    // The password was right: whatever else went wrong, it was no guess.
    await deps.attempts.release(call, attempt);
    throw error;
  }
}

async function signIn(
  em: EntityManager,
  call: Call,
  deps: LoginDeps,
  attempt: ClaimedAttempt,
  { client }: LoginInput,
  newHash: string | undefined,
): Promise<IssuedTokens> {
  const now = call.now();
  const user = await lockUserWithPassword(em, attempt.userId ?? '');
  // Deactivated, deleted or given another password since it was compared.
  if (!user?.active || user.passwordHash !== attempt.passwordHash) throw invalidCredentials();
  if (deps.requireVerifiedEmail && !user.isEmailVerified()) throw emailNotVerified();
  succeed(user, now, newHash);
  const refreshToken = createRefreshToken();
  const session = await beginSession(em, call, {
    user,
    client,
    refreshHash: hashRefreshToken(refreshToken),
    authMethods: ['pwd'],
    expiresAt: new Date(now.getTime() + deps.refreshTtl * 1000),
    maxSessions: deps.maxSessions,
  });
  record(em, call, { type: 'user.login', userId: user.id, client, metadata: { session_id: session.id } });
  return issueTokens(deps.accessTokens, user, session, refreshToken, now);
}

function succeed(user: User, now: Date, newHash: string | undefined): void {
  user.failedAttempts = 0;
  user.lockedUntil = null;
  user.lastLoginAt = now;
  if (newHash !== undefined) user.passwordHash = newHash;
}
