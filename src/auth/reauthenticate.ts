import type { EntityManager } from '@mikro-orm/postgresql';
import { z } from 'zod';
import { record } from '../audit/audit-log.ts';
import { callerUnauthenticated } from '../call/authorize.ts';
import type { Call } from '../call/call.ts';
import { type Client, client, vouchedClient } from '../call/client.ts';
import type { LimitCredentials } from '../rate-limits/rate-limits.ts';
import { lockSessionWithUser } from '../sessions/session.repository.ts';
import type { User } from '../users/user.entity.ts';
import { sessionRequired } from './auth.errors.ts';
import { settleOnDevice } from './lockout/device-tokens.ts';
import { settleSuccess } from './lockout/forget-failures.ts';
import type { ClaimedAttempt } from './lockout/login-attempt.repository.ts';
import { turnOf } from './passwords/hash-pool.ts';
import { presentedPassword } from './passwords/password-policy.ts';
import { type AccessTokens, type IssuedTokens, issueTokens } from './tokens/access-tokens.ts';
import { type WithVerifiedPasswordDeps, withVerifiedPassword } from './with-verified-password.ts';

const notServed = z
  .string()
  .optional()
  .refine((given) => given === undefined, 'is not served by this version, which knows the password alone');

export const reauthenticateInput = z
  .object({ password: presentedPassword.optional(), totpCode: notServed, passkeyCredential: notServed, client })
  .refine(({ password, totpCode, passkeyCredential }) => [password, totpCode, passkeyCredential].some((given) => given !== undefined), {
    path: ['credential'],
    error: 'is required',
  });

export interface ReauthenticateDeps extends WithVerifiedPasswordDeps {
  readonly accessTokens: AccessTokens;
  readonly sessionMaxAge: number;
  readonly limitCredentials: LimitCredentials;
}

/** RFC 8176. */
const METHOD = 'pwd';

/** The session of the access token that the call carries. */
interface OwnSession {
  readonly userId: string;
  readonly sessionId: string;
}

/**
 * Moves the moment at which the user of a session has last proved who they are. The password is a guess like any other, so it goes through the
 * lockout: whoever has only a stolen token gets no more guesses than at the login.
 */
export async function reauthenticate(
  call: Call,
  deps: ReauthenticateDeps,
  { password = '', client: given }: z.output<typeof reauthenticateInput>,
): Promise<IssuedTokens> {
  const { userId, sessionId } = ownSessionOf(call);
  const client = vouchedClient(call, given);
  if (!client.deviceToken) deps.passwords.requireRoom(turnOf(call, client));
  await deps.limitCredentials(call, { rpc: 'Reauthenticate', client, identifier: userId });
  const attempt = await deps.attempts.claim(call, 'id', userId, client);
  return withVerifiedPassword(call, deps, { attempt, password, client }, (_verdict, withLockedUser) =>
    withLockedUser((em, user) => renew(em, call, deps, { user, sessionId, client, attempt })),
  );
}

function ownSessionOf({ caller }: Call): OwnSession {
  if (caller.kind !== 'user' || caller.sessionId === undefined) throw sessionRequired();
  return { userId: caller.userId, sessionId: caller.sessionId };
}

interface Renewal {
  /** Locked. */
  readonly user: User;
  readonly sessionId: string;
  readonly client: Client;
  readonly attempt: ClaimedAttempt;
}

async function renew(
  em: EntityManager,
  call: Call,
  deps: ReauthenticateDeps,
  { user, sessionId, client, attempt }: Renewal,
): Promise<IssuedTokens> {
  const now = call.now();
  const session = await lockSessionWithUser(em, sessionId);
  session?.limitAge(deps.sessionMaxAge);
  // Ended since the caller was recognised.
  if (!session?.isLive(now)) throw callerUnauthenticated();
  await settleSuccess(em, call, user, attempt);
  await settleOnDevice(em, user.id, attempt, now);
  user.noteInteraction(now);
  session.reauthenticatedAt = now;
  session.lastActiveAt = now;
  session.authMethods = [...new Set([...session.authMethods, METHOD])];
  record(em, call, { type: 'session.reauthenticated', userId: user.id, client, metadata: { session_id: sessionId } });
  return issueTokens(deps.accessTokens, session, '', now);
}
