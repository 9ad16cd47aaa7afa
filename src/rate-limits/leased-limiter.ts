import type { RateLimiterAbstract, RateLimiterRes } from 'rate-limiter-flexible';
import { BoundedMap } from '../concurrency/bounded-map.ts';

/** End users are callers, too: what is beyond this is leased anew. */
const MAX_LEASES = 10_000;

interface Lease {
  left: number;
  readonly until: number;
}

/**
 * Counts calls against a limit that all replicas share without asking the database on every call: it takes a fiftieth of the limit at a
 * time and spends that in memory. Together the replicas never exceed the limit; what a replica has leased and does not use is lost to the
 * others until the window ends.
 */
export class LeasedLimiter {
  readonly #limiter: RateLimiterAbstract;
  readonly #leaseSize: number;
  readonly #leases = new BoundedMap<string, Lease>(MAX_LEASES);
  readonly #pending = new Map<string, Promise<Lease>>();

  constructor(limiter: RateLimiterAbstract, limit: number) {
    this.#limiter = limiter;
    this.#leaseSize = Math.max(1, Math.floor(limit / 50));
  }

  /** Takes a call from what is leased; false where it has to be leased first. */
  tryConsume(key: string): boolean {
    const lease = this.#leases.get(key);
    if (!lease || lease.left === 0 || lease.until <= Date.now()) return false;
    lease.left -= 1;
    return true;
  }

  /** Rejects with a RateLimiterRes where the limit is reached, with any other error where the store does not answer. */
  async consume(key: string): Promise<void> {
    while (!this.tryConsume(key)) await this.#renew(key);
  }

  /** Calls that find no lease at the same time wait for one and the same. */
  #renew(key: string): Promise<Lease> {
    let pending = this.#pending.get(key);
    if (!pending) {
      pending = this.#take(key).finally(() => this.#pending.delete(key));
      this.#pending.set(key, pending);
    }
    return pending;
  }

  async #take(key: string): Promise<Lease> {
    const { msBeforeNext }: RateLimiterRes = await this.#limiter.consume(key, this.#leaseSize);
    const lease = { left: this.#leaseSize, until: Date.now() + msBeforeNext };
    this.#leases.set(key, lease);
    return lease;
  }
}
