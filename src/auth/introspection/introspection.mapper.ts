import { BoundedMap } from '../../concurrency/bounded-map.ts';
import { IntrospectTokenResponse } from '../../gen/identity/v1/auth_service.ts';
import { Encoded } from '../../rpc/unary.ts';
import type { AccessClaims } from '../tokens/access-tokens.ts';
import type { UserAuthorization } from './live-sessions.ts';
import type { Introspection } from './token-introspection.ts';

/** About 0.5 kB each. Fewer than the tokens: one is of use only where the same token is asked about again within the second. */
const MAX_REMEMBERED = 10_000;

function toIntrospection({ claims, emailVerified, authorization }: Introspection, expiresIn: number): IntrospectTokenResponse {
  const { sub, email, sid, jti, iss, aud, amr, auth_time: authTime, client_id: clientId } = claims;
  const [roles, permissions] = [[...authorization.roles], authorization.permissions.list()];
  const ofToken = { sub, email, sid, jti, iss, aud, amr, authTime, clientId, expiresIn };
  return { active: true, claims: { ...ofToken, emailVerified, roles, permissions } };
}

const INACTIVE = encode({ active: false, claims: undefined });

function encode(response: IntrospectTokenResponse): Encoded<IntrospectTokenResponse> {
  return new Encoded(Buffer.from(IntrospectTokenResponse.encode(response).finish()));
}

interface Remembered {
  readonly authorization: UserAuthorization;
  readonly emailVerified: boolean;
  readonly expiresIn: number;
  readonly encoded: Encoded<IntrospectTokenResponse>;
}

/**
 * The answers of IntrospectToken, encoded. One page of a product asks about one token many times within a second, and until the second is over
 * or the user stands differently, the answer is the same.
 */
export class EncodedIntrospections {
  readonly #remembered = new BoundedMap<AccessClaims, Remembered>(MAX_REMEMBERED);

  of(introspection: Introspection | undefined, now: Date): Encoded<IntrospectTokenResponse> {
    if (!introspection) return INACTIVE;
    const { claims, emailVerified, authorization } = introspection;
    const expiresIn = Math.max(0, claims.exp - Math.floor(now.getTime() / 1000));
    const remembered = this.#remembered.get(claims);
    if (remembered && isStill(remembered, introspection, expiresIn)) return remembered.encoded;
    const encoded = encode(toIntrospection(introspection, expiresIn));
    this.#remembered.set(claims, { authorization, emailVerified, expiresIn, encoded });
    return encoded;
  }
}

function isStill(remembered: Remembered, { authorization, emailVerified }: Introspection, expiresIn: number): boolean {
  return remembered.authorization === authorization && remembered.emailVerified === emailVerified && remembered.expiresIn === expiresIn;
}
