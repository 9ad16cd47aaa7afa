import type { ServerUnaryCall } from '@grpc/grpc-js';
import type { EntityManager } from '@mikro-orm/postgresql';
import type { Access } from '../call/authorize.ts';
import { ANONYMOUS, type Call, type Caller, type DatabaseAccess } from '../call/call.ts';
import type { PreparedStatements } from '../database/prepared.ts';
import { addressOf } from './peer.ts';
import { requestIdOf } from './request-id.ts';
import type { Runtime } from './runtime.ts';

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
  readonly access: Access;
  readonly now: () => Date;
  /** By the clock that performance.now() reads. */
  readonly begunAt = performance.now();
  readonly #grpcCall: ServerCall;
  readonly #end: { readonly signal: AbortSignal };
  readonly #root: DatabaseAccess;
  #em: EntityManager | undefined;
  #db: PreparedStatements | undefined;
  #requestId: string | undefined;

  constructor(
    grpcCall: ServerCall,
    end: { readonly signal: AbortSignal },
    access: Access,
    { em, db, now }: Pick<Runtime, 'em' | 'db' | 'now'>,
  ) {
    this.#grpcCall = grpcCall;
    this.#end = end;
    this.access = access;
    this.#root = { em, db };
    this.now = now;
  }

  get em(): EntityManager {
    this.#em ??= this.#root.em.fork({ signal: this.signal, inflightQueryAbortStrategy: 'cancel query' });
    return this.#em;
  }

  get db(): PreparedStatements {
    this.#db ??= this.#root.db.until(this.signal);
    return this.#db;
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

  uncancelled(): DatabaseAccess {
    return { em: this.#root.em.fork(), db: this.#root.db };
  }
}
