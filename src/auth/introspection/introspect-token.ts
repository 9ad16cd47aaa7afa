import { z } from 'zod';
import type { Awaitable } from '../../concurrency/awaitable.ts';
import type { Introspection, TokenIntrospection } from './token-introspection.ts';

export const introspectTokenInput = z.object({ accessToken: z.string().min(1, 'is required') });

export interface IntrospectTokenDeps {
  readonly introspection: TokenIntrospection;
}

/** RFC 7662: the claims of a token that may be relied on now; undefined for any other, without a reason. */
export function introspectToken(
  { introspection }: IntrospectTokenDeps,
  { accessToken }: z.output<typeof introspectTokenInput>,
): Awaitable<Introspection | undefined> {
  return introspection.introspect(accessToken);
}
