import type { EntityManager } from '@mikro-orm/postgresql';
import { z } from 'zod';
import { record } from '../audit/audit-log.ts';
import type { Call } from '../call/call.ts';
import { type Client, client, describedDevice, vouchedClient } from '../call/client.ts';
import { transaction } from '../database/transaction.ts';
import type { LimitCredentials } from '../rate-limits/rate-limits.ts';
import type { SessionActivity } from '../sessions/activity.ts';
import { endSession } from '../sessions/end-sessions.ts';
import { type Rotation, rotateSession, rotationsOf } from '../sessions/rotate-session.repository.ts';
import type { Session } from '../sessions/session.entity.ts';
import { lockSessionOfFamily } from '../sessions/session.repository.ts';
import { invalidRefreshToken } from './auth.errors.ts';
import type { AccessTokens } from './tokens/access-tokens.ts';
import { type IssuedTokens, issueTokens } from './tokens/access-tokens.ts';
import { decideRefresh, type RefreshState } from './tokens/refresh-policy.ts';
import { createSuccessorSalt, currentFrom, hasChecksum, hashFamilyOf, hashRefreshToken, successorOf } from './tokens/refresh-tokens.ts';

export const presentedRefreshToken = z.string().min(1, 'is required').max(512, 'is not a refresh token');

export const refreshTokenInput = z.object({ refreshToken: presentedRefreshToken, client });

type RefreshTokenInput = z.output<typeof refreshTokenInput>;

export interface RefreshTokenDeps {
  readonly accessTokens: AccessTokens;
  readonly refreshTtl: number;
  readonly refreshGrace: number;
  readonly sessionMaxAge: number;
  readonly limitCredentials: LimitCredentials;
  readonly activity: SessionActivity;
}

/**
 * Rotation with reuse detection, under the lock that revocation and change of password take as well. Nearly every refresh presents the current
 * token of a live session and is one statement (ADR 13); any other one takes the unit of work.
 */
export async function refreshToken(call: Call, deps: RefreshTokenDeps, given: RefreshTokenInput): Promise<IssuedTokens> {
  // A token is presented when the call comes in: waiting for the database makes it no older.
  const now = call.now();
  const input = { ...given, client: vouchedClient(call, given.client) };
  await deps.limitCredentials(call, { rpc: 'RefreshToken', client: input.client });
  return rotate(call, deps, input, now);
}

async function rotate(call: Call, deps: RefreshTokenDeps, input: RefreshTokenInput, now: Date): Promise<IssuedTokens> {
  const rotated = await rotateCurrent(call, deps, input, now);
  if (rotated) return rotated;
  // The outcome is committed before the call fails: that a stolen token came back must be remembered although the call fails.
  const tokens = await transaction(call.em, (em) => resolveOther(em, call, deps, input, now));
  if (!tokens) throw invalidRefreshToken();
  // It could not be rotated a moment ago, but could be now: something has changed in between.
  return tokens === 'current' ? rotate(call, deps, input, now) : tokens;
}

async function rotateCurrent(
  call: Call,
  deps: RefreshTokenDeps,
  { refreshToken, client }: RefreshTokenInput,
  now: Date,
): Promise<IssuedTokens | undefined> {
  const salt = createSuccessorSalt();
  const successor = successorOf(refreshToken, salt);
  const familyHash = hashFamilyOf(refreshToken);
  const [presentedHash, nextHash] = [hashRefreshToken(refreshToken), hashRefreshToken(successor)];
  const { refreshTtl, refreshGrace, sessionMaxAge } = deps;
  const limits = { refreshTtl, refreshGrace, sessionMaxAge };
  const session = await rotateSession(call.db, { familyHash, presentedHash, nextHash, salt, now, ...limits, client });
  if (!session) return undefined;
  const { id, userId, email, emailVerifiedAt, roles, lastLoginAt } = session;
  deps.activity.note({ id, userId, lastActiveAt: lastLoginAt }, now);
  return issueTokens(deps.accessTokens, { ...session, user: { id: userId, email, emailVerifiedAt, roles } }, successor, now);
}

/** Finds out what a token means that is not the current one of a live session. */
async function resolveOther(
  em: EntityManager,
  call: Call,
  { accessTokens, refreshGrace, sessionMaxAge }: RefreshTokenDeps,
  { refreshToken, client }: RefreshTokenInput,
  now: Date,
): Promise<IssuedTokens | 'current' | undefined> {
  const session = await lockSessionOfFamily(em, hashFamilyOf(refreshToken));
  if (!session) return undefined;
  session.limitAge(sessionMaxAge);
  const rotations = rotationsOf(session);
  const salts = rotations.map(({ salt }) => salt);
  const { current, age } = currentFrom(refreshToken, session.refreshHash, salts) ?? {};
  const presented = { age, issued: hasChecksum(refreshToken) };
  switch (decideRefresh(presented, stateOf(session, rotations, now), now, refreshGrace)) {
    case 'rotate':
      return 'current';
    case 'repeat':
      if (current === undefined) throw new Error('a token that leads to no other cannot be repeated');
      Object.assign(session, known(client), { lastActiveAt: now });
      session.user.noteInteraction(now);
      return issueTokens(accessTokens, session, current, now);
    case 'reused':
      endReusedSession(em, call, session, client);
      return undefined;
    case 'refused':
      return undefined;
  }
}

function stateOf(session: Session, rotations: readonly Rotation[], now: Date): RefreshState {
  return { live: session.isLive(now), userActive: session.user.active, rotatedAt: rotations.map(({ at }) => at) };
}

function endReusedSession(em: EntityManager, call: Call, session: Session, client: Client): void {
  record(em, call, { type: 'session.refresh_reused', userId: session.user.id, client, metadata: { session_id: session.id } });
  endSession(em, call, session, 'refresh_reused');
}

/** Returns the fields that the caller has filled in: an empty one does not overwrite the one that the session has. */
function known(client: Client): Partial<Client> {
  return Object.fromEntries(Object.entries(describedDevice(client)).filter(([, value]) => value !== undefined));
}
