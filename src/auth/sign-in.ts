import { randomUUID } from 'node:crypto';
import type { EntityManager } from '@mikro-orm/postgresql';
import { record } from '../audit/audit-log.ts';
import { type Recorded, recordedBy } from '../audit/recording.repository.ts';
import type { Call } from '../call/call.ts';
import type { Client } from '../call/client.ts';
import { untilNoConflict } from '../database/transaction.ts';
import { beginSession } from '../sessions/begin-session.ts';
import { deviceHashOf } from '../sessions/device.ts';
import { isAnotherDevice } from '../sessions/known-device.repository.ts';
import type { User } from '../users/user.entity.ts';
import type { NewSession, SignedIn } from './sign-in.repository.ts';
import type { AccessTokens } from './tokens/access-tokens.ts';
import { type IssuedTokens, issueTokens } from './tokens/issue-tokens.ts';
import { createRefreshToken, storedOf } from './tokens/refresh-tokens.ts';

export interface SignInDeps {
  readonly accessTokens: AccessTokens;
  readonly refreshTtl: number;
  readonly maxSessions: number;
}

export interface SignIn {
  readonly user: User;
  readonly client: Client;
  /** RFC 8176. */
  readonly authMethods: string[];
}

/** Begins a session for somebody who has proved who they are. The user is locked, and their failures are forgotten. */
export async function signIn(
  em: EntityManager,
  call: Call,
  deps: SignInDeps,
  { user, client, authMethods }: SignIn,
): Promise<IssuedTokens> {
  const now = call.now();
  user.failedAttempts = 0;
  user.lockedUntil = null;
  user.lastLoginAt = now;
  const refreshToken = createRefreshToken();
  const session = await beginSession(em, call, {
    user,
    client,
    ...storedOf(refreshToken),
    authMethods,
    expiresAt: new Date(now.getTime() + deps.refreshTtl * 1000),
    maxSessions: deps.maxSessions,
    now,
  });
  const metadata = { session_id: session.id };
  record(em, call, { type: 'user.login', userId: user.id, client, metadata });
  const deviceHash = deviceHashOf(client);
  if (deviceHash && (await isAnotherDevice(em, user.id, deviceHash, now))) {
    record(em, call, { type: 'user.new_device', userId: user.id, client, metadata });
  }
  return issueTokens(deps.accessTokens, session, refreshToken, now);
}

export interface SignInAtOnceDeps extends SignInDeps {
  readonly requireVerifiedEmail: boolean;
  /** Undefined where it is not the usual case. */
  readonly letIn: (signal: AbortSignal, session: NewSession) => Promise<SignedIn | undefined>;
  /** Tells this process what was written down past the unit of work. */
  readonly tell: (recorded: Recorded) => void;
}

export interface SignInAtOnce extends Pick<NewSession, 'userId' | 'passwordHash' | 'client' | 'authMethods'> {}

/** The same in one statement, without the unit of work. Undefined where it takes a closer look; then nothing has happened. */
export async function signInAtOnce(call: Call, deps: SignInAtOnceDeps, proof: SignInAtOnce): Promise<IssuedTokens | undefined> {
  const now = call.now();
  const refreshToken = createRefreshToken();
  const session = {
    ...proof,
    ...recordedBy(call),
    id: randomUUID(),
    mustBeVerified: deps.requireVerifiedEmail,
    deviceHash: deviceHashOf(proof.client),
    ...storedOf(refreshToken),
    now,
    expiresAt: new Date(now.getTime() + deps.refreshTtl * 1000),
    maxSessions: deps.maxSessions,
  };
  const signedIn = await untilNoConflict(() => deps.letIn(call.signal, session));
  if (!signedIn) return undefined;
  for (const recorded of signedIn.recorded) deps.tell(recorded);
  const user = { id: proof.userId, email: signedIn.email, roles: signedIn.roles };
  return issueTokens(deps.accessTokens, { ...session, createdAt: now, user }, refreshToken, now);
}
