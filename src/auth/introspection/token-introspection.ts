import { type Awaitable, when } from '../../concurrency/awaitable.ts';
import type { SessionActivity } from '../../sessions/activity.ts';
import type { AccessClaims, AccessTokens } from '../tokens/access-tokens.ts';
import type { LiveSessions, UserAuthorization } from './live-sessions.ts';

export interface TokenIntrospectionDeps {
  readonly liveSessions: LiveSessions;
  readonly activity: SessionActivity;
  readonly accessTokens: AccessTokens;
  readonly now: () => Date;
}

/** An active token: its claims, and how its user stands now. */
export interface Introspection {
  readonly claims: AccessClaims;
  readonly emailVerified: boolean;
  readonly authorization: UserAuthorization;
}

/**
 * Tells which access tokens may be relied on now: signature and expiry, a live session, an active user. In the common case all of it is
 * remembered, and the answer is there at once; what ends elsewhere is forgotten here within 250 ms, and at once what ends here.
 */
export class TokenIntrospection {
  readonly #deps: TokenIntrospectionDeps;

  constructor(deps: TokenIntrospectionDeps) {
    this.#deps = deps;
  }

  /** Undefined for a token that may not be relied on. */
  introspect(token: string): Awaitable<Introspection | undefined> {
    const { liveSessions, activity, accessTokens, now } = this.#deps;
    const moment = now();
    const claims = accessTokens.verify(token, moment);
    if (!claims) return undefined;
    return when(liveSessions.get(claims.sid, moment), (session) => {
      if (session?.userId !== claims.sub) return undefined;
      activity.note(session, moment);
      return { claims, emailVerified: session.emailVerified, authorization: session.authorization };
    });
  }
}
