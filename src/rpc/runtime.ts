import type { EntityManager } from '@mikro-orm/postgresql';
import type { Access } from '../call/authorize.ts';
import type { Call, Caller, Credentials } from '../call/call.ts';
import type { ConstraintErrors, IdentityError } from '../call/errors.ts';
import type { Awaitable } from '../concurrency/awaitable.ts';
import type { PreparedStatements } from '../database/prepared.ts';
import type { Log } from '../observability/log.ts';
import type { Tracer } from '../observability/tracing/tracer.ts';

/** The surroundings of every call, which no feature knows. */
export interface Runtime {
  /** Each call gets a fork of it. */
  readonly em: EntityManager;
  readonly db: PreparedStatements;
  readonly now: () => Date;
  readonly log: Log;
  readonly constraints: ConstraintErrors;
  /** The option of each RPC that says who may call it, by its path. */
  readonly access: ReadonlyMap<string, Access>;
  /** The age in seconds up to which the sign-in of an end user is fresh. */
  readonly reauthenticationMaxAge: number;
  /** Finds out the caller; throws where the credentials are not valid. */
  readonly identify: (credentials: Credentials) => Awaitable<Caller>;
  /** Throws where the caller calls too often. */
  readonly limit: (call: Call) => Awaitable<void>;
  /** Told how each call ended; absent: nobody measures. */
  readonly observe: ((rpc: string, code: string, reason: string | undefined, seconds: number) => void) | undefined;
  /** Records what calls do; absent: nobody collects it. */
  readonly tracer: Tracer | undefined;
  /** Writes down that a call was refused for who made it. */
  readonly refused: (call: Call, rpc: string, error: IdentityError) => void;
}
