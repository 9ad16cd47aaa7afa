import type { Access } from './authorize.ts';
import type { Call } from './call.ts';
import { IdentityError } from './errors.ts';

/** A field that takes a fresh sign-in to change. */
export interface FreshPath {
  /** As an update mask names it: `profile.phone`. */
  readonly inMask: string;
  /** In the request, as the generated code names its fields: `['user', 'profile', 'phone']`. */
  readonly inRequest: readonly string[];
}

const reauthenticationRequired = (maxAge: number) =>
  new IdentityError({
    code: 'UNAUTHENTICATED',
    reason: 'REAUTHENTICATION_REQUIRED',
    message: `the user must prove anew who they are: the last proof may be at most ${maxAge} seconds old`,
    metadata: { max_age: String(maxAge) },
  });

/**
 * Throws REAUTHENTICATION_REQUIRED where the call takes a fresh sign-in of an end user (RFC 9470), and the token of the call is of one that is
 * older than `maxAge` seconds. Asked after the permission, so that who may not call at all is told that.
 */
export function requireFreshSignIn(call: Pick<Call, 'access' | 'caller' | 'now'>, request: () => unknown, maxAge: number): void {
  const { access, caller } = call;
  if (caller.kind !== 'user' || !needsFreshSignIn(access, request)) return;
  const age = caller.authTime === undefined ? Number.POSITIVE_INFINITY : Math.floor(call.now().getTime() / 1000) - caller.authTime;
  if (age > maxAge) throw reauthenticationRequired(maxAge);
}

function needsFreshSignIn({ fresh, freshPaths }: Access, request: () => unknown): boolean {
  return fresh || freshPaths.some((path) => changes(request(), path));
}

/** Tells whether an update would set a field (AIP-134): by a mask that names it or what it is a part of, or without one by a value. */
function changes(request: unknown, { inMask, inRequest }: FreshPath): boolean {
  const mask = valueAt(request, ['updateMask']);
  if (Array.isArray(mask) && mask.length > 0) return mask.some((path) => path === '*' || inMask === path || inMask.startsWith(`${path}.`));
  const value = valueAt(request, inRequest);
  return value !== undefined && value !== '';
}

export function valueAt(message: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((value, name) => (value as Record<string, unknown> | undefined)?.[name], message);
}
