import type { IntrospectTokenResponse } from '../gen/identity/v1/auth_service.ts';
import type { Tokens } from '../gen/identity/v1/tokens.ts';
import type { AccessClaims } from './tokens/access-tokens.ts';
import type { IssuedTokens } from './tokens/issue-tokens.ts';

export function toTokensMessage({ accessToken, expiresIn, refreshToken, refreshExpiresIn, sessionId }: IssuedTokens): Tokens {
  return { accessToken, tokenType: 'Bearer', expiresIn, refreshToken, refreshExpiresIn, sessionId };
}

export function toIntrospection(claims: AccessClaims | undefined, now: Date): IntrospectTokenResponse {
  if (!claims) return { active: false, claims: undefined };
  const { sub, email, sid, jti, iss, aud, exp } = claims;
  const expiresIn = Math.max(0, exp - Math.floor(now.getTime() / 1000));
  return { active: true, claims: { sub, email, sid, jti, iss, aud, roles: [], permissions: [], expiresIn } };
}
