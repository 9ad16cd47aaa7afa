import type { EntityManager } from '@mikro-orm/postgresql';

/** Who makes a call. */
export type Caller = { readonly kind: 'anonymous' } | { readonly kind: 'user'; readonly userId: string; readonly sessionId: string };

/** One call, as the use cases see it. */
export interface Call {
  /** The unit of work of this call, and of no other. A query on it is cancelled with the call. */
  readonly em: EntityManager;
  /** Aborted when the caller cancels or the deadline passes. */
  readonly signal: AbortSignal;
  readonly requestId: string;
  readonly caller: Caller;
  readonly now: () => Date;
  /** The same call, but deaf to its cancellation: for what has to be remembered although nobody waits for it any more. */
  uncancelled(): EntityManager;
}

/** The caller as the audit trail names it. */
export function actorOf({ caller }: Call): string {
  return caller.kind === 'user' ? `user:${caller.userId}` : 'anonymous';
}
