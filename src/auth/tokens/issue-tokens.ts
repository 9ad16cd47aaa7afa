import type { Session } from '../../sessions/session.entity.ts';
import type { User } from '../../users/user.entity.ts';
import type { AccessTokens } from './access-tokens.ts';

/** What a caller gets after a login or a refresh. */
export interface IssuedTokens {
  readonly accessToken: string;
  readonly expiresIn: number;
  readonly refreshToken: string;
  readonly refreshExpiresIn: number;
  readonly sessionId: string;
}

export function issueTokens(accessTokens: AccessTokens, user: User, session: Session, refreshToken: string, now: Date): IssuedTokens {
  const accessToken = accessTokens.issue(
    {
      userId: user.id,
      email: user.email,
      sessionId: session.id,
      authMethods: session.authMethods,
      authTime: session.createdAt,
      roles: user.roles ?? [],
    },
    now,
  );
  return {
    accessToken,
    expiresIn: accessTokens.ttl,
    refreshToken,
    refreshExpiresIn: Math.max(0, Math.floor((session.expiresAt.getTime() - now.getTime()) / 1000)),
    sessionId: session.id,
  };
}
