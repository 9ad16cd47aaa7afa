import type { EntityManager } from '@mikro-orm/postgresql';
import { Permissions } from './permissions.ts';

/** Nobody: no credentials. */
export interface AnonymousCaller {
  readonly kind: 'anonymous';
  readonly permissions: Permissions;
}

/** An end user, by an access token or by an API key of theirs. */
export interface UserCaller {
  readonly kind: 'user';
  readonly userId: string;
  /** The session of the access token; an API key has none. */
  readonly sessionId?: string;
  readonly permissions: Permissions;
  /** Whether they may do to themselves what it takes a permission to do to others. A key with scopes may not. */
  readonly actsForSelf: boolean;
}

/** A program, by an API key or by a client certificate. */
export interface ServiceAccountCaller {
  readonly kind: 'service_account';
  readonly id: string;
  readonly name: string;
  readonly permissions: Permissions;
}

/** Who makes a call. */
export type Caller = AnonymousCaller | UserCaller | ServiceAccountCaller;

export const ANONYMOUS: Caller = { kind: 'anonymous', permissions: Permissions.NONE };

/** One call, as the use cases see it. */
export interface Call {
  /** The unit of work of this call, and of no other. A query on it is cancelled with the call. */
  readonly em: EntityManager;
  /** Aborted when the caller cancels or the deadline passes. */
  readonly signal: AbortSignal;
  readonly requestId: string;
  readonly caller: Caller;
  /** The address of the other end of the connection, without a port. */
  readonly peerAddress: string;
  readonly now: () => Date;
  /** The same call, but deaf to its cancellation: for what has to be remembered although nobody waits for it any more. */
  uncancelled(): EntityManager;
}

/** The caller as the audit trail names it. */
export function actorOf({ caller }: { readonly caller: Caller }): string {
  switch (caller.kind) {
    case 'user':
      return `user:${caller.userId}`;
    case 'service_account':
      return `service_account:${caller.name}`;
    case 'anonymous':
      return 'anonymous';
  }
}
