import type { Pool } from 'pg';
import type { AccessClaims, AccessTokens } from '../auth/tokens/access-tokens.ts';
import type { Awaitable } from '../rpc/awaitable.ts';
import type { SessionActivity } from '../sessions/activity.ts';
import { recogniseUser, type UserStanding } from './caller.repository.ts';
import type { EpochCache } from './epoch-cache.ts';
import type { LiveSession, LiveSessions } from './live-sessions.ts';

export interface RecogniseAccessTokenDeps {
  readonly cache: EpochCache;
  readonly liveSessions: LiveSessions;
  readonly activity: SessionActivity;
  readonly accessTokens: AccessTokens;
  readonly pool: Pool;
  readonly now: () => Date;
}

export interface RecognisedAccessToken {
  readonly claims: AccessClaims;
  readonly standing: UserStanding;
}

/**
 * Whose token this is, if it may be relied on now: signature and expiry, a live session, an active user. In the common case all of it is
 * remembered, and the answer is there at once; what ends elsewhere is forgotten here within 250 ms, and at once what ends here.
 */
export function recogniseAccessToken(deps: RecogniseAccessTokenDeps, token: string): Awaitable<RecognisedAccessToken | undefined> {
  const { cache, liveSessions, accessTokens } = deps;
  const now = deps.now();
  const claims = accessTokens.verify(token, now);
  if (!claims) return undefined;
  const session = liveSessions.peek(claims.sid, now);
  const standing = session && cache.peek<UserStanding>('user', claims.sub);
  return session && standing ? conclude(deps, claims, session, standing, now) : lookUp(deps, claims, now);
}

async function lookUp(deps: RecogniseAccessTokenDeps, claims: AccessClaims, now: Date): Promise<RecognisedAccessToken | undefined> {
  const { cache, liveSessions, pool } = deps;
  const session = await liveSessions.get(claims.sid, now);
  const standing = session && (await cache.get('user', claims.sub, () => recogniseUser(pool, claims.sub)));
  return session && standing ? conclude(deps, claims, session, standing, now) : undefined;
}

function conclude(
  { activity }: RecogniseAccessTokenDeps,
  claims: AccessClaims,
  session: LiveSession,
  standing: UserStanding,
  now: Date,
): RecognisedAccessToken | undefined {
  if (session.userId !== claims.sub) return undefined;
  activity.note(session, now);
  return { claims, standing };
}
