import { type Awaitable, when } from '../../concurrency/awaitable.ts';
import type { SessionActivity } from '../../sessions/activity.ts';
import type { AccessClaims, AccessTokens } from '../tokens/access-tokens.ts';
import type { LiveSessions, UserAuthorization } from './live-sessions.ts';

export interface RecogniseAccessTokenDeps {
  readonly liveSessions: LiveSessions;
  readonly activity: SessionActivity;
  readonly accessTokens: AccessTokens;
  readonly now: () => Date;
}

export interface RecognisedAccessToken {
  readonly claims: AccessClaims;
  readonly authorization: UserAuthorization;
}

/**
 * Whose token this is, if it may be relied on now: signature and expiry, a live session, an active user. In the common case all of it is
 * remembered, and the answer is there at once; what ends elsewhere is forgotten here within 250 ms, and at once what ends here.
 */
export function recogniseAccessToken(
  { liveSessions, activity, accessTokens, now }: RecogniseAccessTokenDeps,
  token: string,
): Awaitable<RecognisedAccessToken | undefined> {
  const moment = now();
  const claims = accessTokens.verify(token, moment);
  if (!claims) return undefined;
  return when(liveSessions.get(claims.sid, moment), (session) => {
    if (session?.userId !== claims.sub) return undefined;
    activity.note(session, moment);
    return { claims, authorization: session.authorization };
  });
}
