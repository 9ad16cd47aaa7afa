import { z } from 'zod';
import type { Awaitable } from '../../concurrency/awaitable.ts';
import type { AccessClaims } from '../tokens/access-tokens.ts';

export const introspectTokenInput = z.object({ accessToken: z.string().min(1, 'is required') });

/** What an end user is and may do now. */
export interface Authorization {
  /** Names, sorted. */
  readonly roles: readonly string[];
  readonly permissions: { list(): string[] };
}

/** An active token: what it says, and how its user stands. */
export interface Introspection {
  readonly claims: AccessClaims;
  readonly authorization: Authorization;
}

export interface IntrospectTokenDeps {
  /** Undefined for a token that may not be relied on now. */
  readonly recogniseAccessToken: (token: string) => Awaitable<Introspection | undefined>;
}

/** RFC 7662: the claims of a token that may be relied on now; undefined for any other, without a reason. */
export function introspectToken(
  { recogniseAccessToken }: IntrospectTokenDeps,
  { accessToken }: z.output<typeof introspectTokenInput>,
): Awaitable<Introspection | undefined> {
  return recogniseAccessToken(accessToken);
}
