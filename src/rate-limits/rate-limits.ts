import { createHmac } from 'node:crypto';
import { RateLimiterPostgres, RateLimiterRes } from 'rate-limiter-flexible';
import type { Client } from '../audit/client.ts';
import { databaseUnavailable, IdentityError } from '../errors.ts';
import type { Call, Caller } from '../rpc/call.ts';
import type { Log } from '../rpc/log.ts';
import { LeasedLimiter } from './leased-limiter.ts';

const TABLE = 'rate_limits';
const WINDOW_SECONDS = 60;
const WARN_EVERY_MS = 60_000;

/** Calls a minute, over all replicas; 0 is no limit. */
export interface RateLimitSettings {
  readonly perCaller: number;
  readonly perAddress: number;
  readonly perIdentifier: number;
}

/** What a credential check is counted by. */
export interface CredentialCheck {
  readonly rpc: string;
  readonly client: Client;
  /** The account that is meant, where the request names one. */
  readonly identifier?: string | undefined;
}

/** How `auth` limits attempts on credentials. */
export type LimitCredentials = (call: Call, check: CredentialCheck) => Promise<void>;

const rateLimited = (retryAfterSeconds: number) =>
  new IdentityError({ code: 'RESOURCE_EXHAUSTED', reason: 'RATE_LIMITED', message: 'too many calls', details: { retryAfterSeconds } });

/**
 * Limits shared by all replicas through the database. They keep out the flood; guessing one password is the lockout's business, which counts
 * failures and not calls.
 */
export class RateLimits {
  readonly #perCaller: LeasedLimiter | undefined;
  readonly #perAddress: RateLimiterPostgres | undefined;
  readonly #perIdentifier: RateLimiterPostgres | undefined;
  readonly #log: Log;
  readonly #hashKey: string;
  #warnedAt = Number.NEGATIVE_INFINITY;

  constructor(pool: unknown, { perCaller, perAddress, perIdentifier }: RateLimitSettings, hashKey: string, log: Log) {
    const callers = limiter(pool, 'caller', perCaller);
    this.#perCaller = callers && new LeasedLimiter(callers, perCaller);
    this.#perAddress = limiter(pool, 'address', perAddress);
    this.#perIdentifier = limiter(pool, 'identifier', perIdentifier);
    this.#hashKey = hashKey;
    this.#log = log;
  }

  /** Every call. Fails open: without its counters, the service serves on. */
  readonly call = (call: Call): void | Promise<void> => {
    const limiter = this.#perCaller;
    const caller = limiter && idOf(call.caller);
    if (limiter && caller !== undefined && !limiter.tryConsume(caller)) return this.#consume(limiter, caller);
  };

  async #consume(limiter: LeasedLimiter, caller: string): Promise<void> {
    try {
      await limiter.consume(caller);
    } catch (error) {
      if (error instanceof RateLimiterRes) throw rateLimited(seconds(error));
      this.#warn('the limit of calls is not enforced');
    }
  }

  /** A call that checks a credential. Fails closed: nobody may guess uncounted. */
  readonly credentials: LimitCredentials = async (_call, { rpc, client, identifier }) => {
    try {
      if (client.ipAddress !== undefined) await this.#perAddress?.consume(this.#keyOf(rpc, client.ipAddress));
      if (identifier !== undefined) await this.#perIdentifier?.consume(this.#keyOf(rpc, identifier));
    } catch (error) {
      if (error instanceof RateLimiterRes) throw rateLimited(seconds(error));
      this.#warn('credential checks are refused');
      throw databaseUnavailable(error);
    }
  };

  /** Hashed with a key: the table is no list of who was where. */
  #keyOf(rpc: string, subject: string): string {
    return `${rpc}:${createHmac('sha256', this.#hashKey).update(subject).digest('base64url')}`;
  }

  #warn(consequence: string): void {
    if (performance.now() - this.#warnedAt < WARN_EVERY_MS) return;
    this.#warnedAt = performance.now();
    this.#log.warn(`the store of the rate limits does not answer: ${consequence}`);
  }
}

function limiter(pool: unknown, keyPrefix: string, points: number): RateLimiterPostgres | undefined {
  if (points === 0) return undefined;
  return new RateLimiterPostgres({
    storeClient: pool,
    storeType: 'pool',
    tableName: TABLE,
    tableCreated: true,
    // By timers that nobody could stop: housekeeping does that.
    clearExpiredByTimeout: false,
    keyPrefix,
    points,
    duration: WINDOW_SECONDS,
    // Whoever is over the limit is refused from memory.
    inMemoryBlockOnConsumed: points + 1,
  });
}

function seconds({ msBeforeNext }: RateLimiterRes): number {
  return Math.max(1, Math.ceil(msBeforeNext / 1000));
}

/** Unique over users and service accounts. */
function idOf(caller: Caller): string {
  switch (caller.kind) {
    case 'user':
      return caller.userId;
    case 'service_account':
      return caller.id;
    case 'anonymous':
      return 'anonymous';
  }
}
