import type { Pool } from 'pg';
import { RateLimiterPostgres, RateLimiterRes } from 'rate-limiter-flexible';
import { type Call, type Caller, idOfCaller } from '../call/call.ts';
import { type Client, originOf } from '../call/client.ts';
import { databaseUnavailable, rateLimited } from '../call/errors.ts';
import type { Awaitable } from '../concurrency/awaitable.ts';
import type { PreparedStatements } from '../database/prepared.ts';
import type { Log } from '../observability/log.ts';
import { counterKey } from './counter-key.ts';
import { CredentialLimiter } from './credential-limiter.ts';
import { LeasedLimiter } from './leased-limiter.ts';
import { countCalls } from './rate-limit.repository.ts';
import type { RateLimitSettings } from './rate-limit-settings.ts';

const TABLE = 'rate_limits';
const WINDOW_SECONDS = 60;
const WARN_EVERY_MS = 60_000;

/** Over which connections the counters are kept. */
export interface CounterPools {
  readonly ofCalls: Pool;
  readonly ofCredentials: PreparedStatements;
}

/** A credential check is counted by these. */
export interface CredentialCheck {
  readonly rpc: string;
  readonly client: Client;
  /** The account that is meant, where the request names one. */
  readonly identifier?: string | undefined;
}

/** By this, `auth` limits attempts on credentials. */
export type LimitCredentials = (call: Call, check: CredentialCheck) => Promise<void>;

/**
 * Limits shared by all replicas through the database. They keep out the flood; guessing one password is the lockout's business, which counts
 * failures and not calls.
 */
export class RateLimits {
  readonly #ofCalls: Readonly<Record<Caller['kind'], LeasedLimiter | undefined>>;
  readonly #ofCredentials: CredentialLimiter;
  readonly #settings: RateLimitSettings;
  readonly #log: Log;
  readonly #hashKey: string;
  #warnedAt = Number.NEGATIVE_INFINITY;

  constructor({ ofCalls, ofCredentials }: CounterPools, settings: RateLimitSettings, hashKey: string, log: Log) {
    const ofBackends = callerLimiter(ofCalls, 'caller', settings.perCaller);
    this.#ofCalls = { service_account: ofBackends, anonymous: ofBackends, user: callerLimiter(ofCalls, 'user', settings.perUser) };
    this.#ofCredentials = new CredentialLimiter((...counted) => countCalls(ofCredentials, ...counted), WINDOW_SECONDS * 1000);
    this.#settings = settings;
    this.#hashKey = hashKey;
    this.#log = log;
  }

  /** Every call. Fails open: without its counters, the service serves on. */
  readonly call = (call: Call): Awaitable<void> => {
    const limiter = this.#ofCalls[call.caller.kind];
    const caller = limiter && idOfCaller(call.caller);
    if (limiter && caller !== undefined && !limiter.tryConsume(caller)) return this.#consume(limiter, caller);
  };

  async #consume(limiter: LeasedLimiter, caller: string): Promise<void> {
    try {
      await limiter.consume(caller);
    } catch (error) {
      if (error instanceof RateLimiterRes) throw rateLimited(seconds(error.msBeforeNext));
      this.#warn('the limit of calls is not enforced');
    }
  }

  /** A call that checks a credential. Fails closed: nobody may guess uncounted. */
  readonly credentials: LimitCredentials = async (call, check) => {
    const waitMs = await this.#ofCredentials.consume(this.#limitsOf(call, check)).catch((error: unknown) => {
      this.#warn('credential checks are refused');
      throw databaseUnavailable(error);
    });
    if (waitMs > 0) throw rateLimited(seconds(waitMs));
  };

  /** By key; the origin always comes first, so that two calls never wait for each other. */
  #limitsOf(call: Call, { rpc, client, identifier }: CredentialCheck): Map<string, number> {
    const { perAddress, perIdentifier } = this.#settings;
    const limits = new Map<string, number>();
    if (perAddress > 0) limits.set(counterKey(this.#hashKey, `origin:${rpc}`, originOf(call, client)), perAddress);
    if (identifier !== undefined && perIdentifier > 0)
      limits.set(counterKey(this.#hashKey, `identifier:${rpc}`, identifier), perIdentifier);
    return limits;
  }

  #warn(consequence: string): void {
    if (performance.now() - this.#warnedAt < WARN_EVERY_MS) return;
    this.#warnedAt = performance.now();
    this.#log.warn(`the store of the rate limits does not answer: ${consequence}`);
  }
}

/** None where the limit is 0. */
function callerLimiter(pool: Pool, keyPrefix: string, points: number): LeasedLimiter | undefined {
  if (points === 0) return undefined;
  const limiter = new RateLimiterPostgres({
    storeClient: pool,
    storeType: 'pool',
    tableName: TABLE,
    tableCreated: true,
    // These timers could not be stopped by anybody; the cleanup does their work.
    clearExpiredByTimeout: false,
    keyPrefix,
    points,
    duration: WINDOW_SECONDS,
    // A caller who is over the limit is refused from memory.
    inMemoryBlockOnConsumed: points + 1,
  });
  return new LeasedLimiter(limiter, points);
}

function seconds(milliseconds: number): number {
  return Math.max(1, Math.ceil(milliseconds / 1000));
}
