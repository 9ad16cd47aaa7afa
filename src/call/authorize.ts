import type { Call, Caller } from './call.ts';
import { IdentityError } from './errors.ts';
import { type FreshPath, valueAt } from './fresh-sign-in.ts';

/** The rule of who may call an RPC: the method option of access.proto. */
export interface Access {
  readonly permission: string;
  /** Path in the request, as the generated code names its fields: `['user', 'id']`. */
  readonly selfPath: readonly string[];
  readonly own: boolean;
  /** True where an end user needs a fresh sign-in. */
  readonly fresh: boolean;
  /** The fields that an end user changes only with a fresh sign-in. */
  readonly freshPaths: readonly FreshPath[];
}

export const callerUnauthenticated = () =>
  new IdentityError({
    code: 'UNAUTHENTICATED',
    reason: 'CALLER_UNAUTHENTICATED',
    message: 'the call needs valid credentials: an API key or access token in "authorization: Bearer …", or a client certificate',
  });

export const permissionDenied = (permission: string) =>
  new IdentityError({
    code: 'PERMISSION_DENIED',
    reason: 'PERMISSION_DENIED',
    message: `the caller lacks the permission ${permission}`,
    metadata: { permission },
  });

/**
 * The things that end users may do to themselves without a permission, each named by the permission that it takes to do
 * it to others.
 */
export function permissionsOverSelf(accesses: ReadonlyMap<string, Access>): string[] {
  const onSelf = [...accesses.values()].filter(({ selfPath, own }) => own || selfPath.length > 0);
  return [...new Set(onSelf.map(({ permission }) => permission))];
}

/**
 * Throws unless the caller may make this call (AIP-211: before the request is validated, so that a refusal tells nothing about what it
 * names). `request` is asked for only where it matters whom the request is about.
 */
export function authorize({ permission, selfPath, own }: Access, caller: Caller, request: () => unknown): void {
  if (caller.kind === 'anonymous') throw callerUnauthenticated();
  if (permission === '' || caller.permissions.has(permission)) return;
  if (caller.kind === 'user' && caller.actsForSelf) {
    if (own) return;
    if (selfPath.length > 0 && sameId(valueAt(request(), selfPath), caller.userId)) return;
  }
  throw permissionDenied(permission);
}

function sameId(given: unknown, id: string): boolean {
  return typeof given === 'string' && given.toLowerCase() === id;
}

/**
 * Tells, for an RPC that end users may call for their own data (`own`), whether the caller may touch something of this
 * user. A thing that a caller may not touch is answered as if it did not exist.
 */
export function mayTouch({ caller, access }: Pick<Call, 'caller' | 'access'>, ownerId: string | undefined): boolean {
  if (caller.permissions.has(access.permission)) return true;
  return access.own && isSelf(caller, ownerId);
}

/** Tells whether the caller is this user, and acts with all that users may do to themselves. */
export function isSelf(caller: Caller, userId: string | undefined): boolean {
  return caller.kind === 'user' && caller.actsForSelf && caller.userId === userId;
}

/** The session that carries a call of this user: what they ask for in it leaves it alone. */
export function ownSessionId({ caller }: Pick<Call, 'caller'>, userId: string): string | undefined {
  return caller.kind === 'user' && caller.userId === userId ? caller.sessionId : undefined;
}
