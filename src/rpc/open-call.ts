import type { ServerUnaryCall } from '@grpc/grpc-js';
import type { EntityManager } from '@mikro-orm/postgresql';
import { ANONYMOUS, type Call, type Caller } from '../call/call.ts';
import { addressOf } from './peer.ts';
import { requestIdOf } from './request-id.ts';

/** A call as grpc-js has it, be it with one message or with many. */
export type ServerCall = Pick<
  ServerUnaryCall<Buffer, unknown>,
  'cancelled' | 'metadata' | 'getPath' | 'getPeer' | 'getDeadline' | 'getAuthContext'
> & {
  on(event: 'cancelled', listener: () => void): unknown;
};

/**
 * A call while it is let in: who makes it has still to be found out, and in a long one again and again.
 *
 * Everything else is made when it is asked for: a call that is answered from memory needs neither a unit of work nor a signal, and what is not
 * made is the fastest.
 */
export class OpenCall implements Call {
  caller: Caller = ANONYMOUS;
  readonly now: () => Date;
  /** By the clock that performance.now() reads. */
  readonly begunAt = performance.now();
  readonly #grpcCall: ServerCall;
  readonly #end: { readonly signal: AbortSignal };
  readonly #root: EntityManager;
  #em: EntityManager | undefined;
  #requestId: string | undefined;

  constructor(
    grpcCall: ServerCall,
    end: { readonly signal: AbortSignal },
    { em, now }: { readonly em: EntityManager; readonly now: () => Date },
  ) {
    this.#grpcCall = grpcCall;
    this.#end = end;
    this.#root = em;
    this.now = now;
  }

  get em(): EntityManager {
    this.#em ??= this.#root.fork({ signal: this.signal, inflightQueryAbortStrategy: 'cancel query' });
    return this.#em;
  }

  get signal(): AbortSignal {
    return this.#end.signal;
  }

  get requestId(): string {
    this.#requestId ??= requestIdOf(this.#grpcCall.metadata);
    return this.#requestId;
  }

  get peerAddress(): string {
    return addressOf(this.#grpcCall.getPeer());
  }

  uncancelled(): EntityManager {
    return this.#root.fork();
  }
}
