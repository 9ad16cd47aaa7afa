import type { AccessTokens } from './access-tokens.ts';

/** What a caller gets after a login or a refresh. */
export interface IssuedTokens {
  readonly accessToken: string;
  readonly expiresIn: number;
  readonly refreshToken: string;
  readonly refreshExpiresIn: number;
  readonly sessionId: string;
}

/** The session that the tokens are for, and its user. */
export interface TokenSubject {
  readonly id: string;
  readonly authMethods: readonly string[];
  readonly createdAt: Date;
  readonly expiresAt: Date;
  readonly user: { readonly id: string; readonly email: string; readonly roles?: readonly string[] | null };
}

export function issueTokens(accessTokens: AccessTokens, session: TokenSubject, refreshToken: string, now: Date): IssuedTokens {
  const { id: sessionId, user, authMethods, createdAt: authTime, expiresAt } = session;
  const subject = { userId: user.id, email: user.email, sessionId, authMethods, authTime, roles: user.roles ?? [] };
  return {
    accessToken: accessTokens.issue(subject, now),
    expiresIn: accessTokens.ttl,
    refreshToken,
    refreshExpiresIn: Math.max(0, Math.floor((expiresAt.getTime() - now.getTime()) / 1000)),
    sessionId,
  };
}
