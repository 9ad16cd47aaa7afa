import type { ServiceAccountCaller, UserCaller } from '../call/call.ts';
import type { GetCallerResponse } from '../gen/identity/v1/auth_service.ts';
import type { Tokens } from '../gen/identity/v1/tokens.ts';
import type { IssuedTokens } from './tokens/access-tokens.ts';

export function toTokensMessage({ accessToken, expiresIn, refreshToken, refreshExpiresIn, sessionId, deviceToken }: IssuedTokens): Tokens {
  return { accessToken, tokenType: 'Bearer', expiresIn, refreshToken, refreshExpiresIn, sessionId, deviceToken: deviceToken?.reveal() };
}

export function toCallerMessage(caller: UserCaller | ServiceAccountCaller): GetCallerResponse {
  const permissions = caller.permissions.list();
  switch (caller.kind) {
    case 'user':
      return { user: { userId: caller.userId, sessionId: caller.sessionId }, serviceAccount: undefined, permissions };
    case 'service_account':
      return { user: undefined, serviceAccount: { serviceAccountId: caller.id, name: caller.name }, permissions };
  }
}
