import type { EntityManager } from '@mikro-orm/postgresql';
import { record } from '../audit/audit-log.ts';
import type { Call, Caller } from '../call/call.ts';
import type { Client } from '../call/client.ts';
import { deviceHashOf } from '../sessions/device.ts';
import { isAnotherDevice } from '../sessions/known-device.repository.ts';
import { startSession } from '../sessions/start-session.ts';
import type { User } from '../users/user.entity.ts';
import { knowDevice } from './lockout/device-tokens.ts';
import { settleSuccess } from './lockout/forget-failures.ts';
import type { ClaimedAttempt } from './lockout/login-attempt.repository.ts';
import type { AccessTokens } from './tokens/access-tokens.ts';
import { type IssuedTokens, issueTokens } from './tokens/access-tokens.ts';
import { createRefreshToken, storedOf } from './tokens/refresh-tokens.ts';

export interface SignInDeps {
  readonly accessTokens: AccessTokens;
  readonly refreshTtl: number;
  readonly sessionMaxAge: number;
  readonly maxSessions: number;
}

export interface SignIn {
  readonly user: User;
  readonly client: Client;
  /** RFC 8176. */
  readonly authMethods: readonly string[];
  /** Absent where the proof was one that the lockout does not count. */
  readonly attempt?: ClaimedAttempt;
}

/** Starts a session for somebody who has proved who they are. The user is locked, and their failures are forgotten. The device is known from now on. */
export async function signIn(
  em: EntityManager,
  call: Call,
  deps: SignInDeps,
  { user, client, authMethods, attempt }: SignIn,
): Promise<IssuedTokens> {
  const now = call.now();
  await settleSuccess(em, call, user, attempt);
  user.noteInteraction(now);
  const refreshToken = createRefreshToken();
  const session = await startSession(em, call, {
    user,
    client,
    ...storedOf(refreshToken),
    authMethods: [...authMethods],
    clientId: clientIdOf(call.caller),
    expiresAt: new Date(now.getTime() + Math.min(deps.refreshTtl, deps.sessionMaxAge) * 1000),
    maxSessions: deps.maxSessions,
    now,
  });
  const metadata = { session_id: session.id };
  record(em, call, { type: 'user.login', userId: user.id, client, metadata });
  const deviceHash = deviceHashOf(client);
  if (deviceHash && (await isAnotherDevice(em, user.id, deviceHash, now))) {
    record(em, call, { type: 'user.new_device', userId: user.id, client, metadata });
  }
  const deviceToken = await knowDevice(em, { userId: user.id, presented: client.deviceToken, attempt, now });
  return { ...issueTokens(deps.accessTokens, session, refreshToken, now), deviceToken };
}

/** The client of RFC 9068: the service account that signs a user in. By its id, since a name can be given again. */
function clientIdOf(caller: Caller): string | undefined {
  return caller.kind === 'service_account' ? caller.id : undefined;
}
