import { setTimeout as sleep } from 'node:timers/promises';
import type { RecognisedApiKey } from '../access/api-keys/recognised-api-key.repository.ts';
import { rateLimited } from '../call/errors.ts';
import { networkOf } from '../call/ip-address.ts';
import { BoundedMap } from '../concurrency/bounded-map.ts';
import type { CoalescedReads } from '../concurrency/coalesced-reads.ts';
import { RecentCounts } from '../concurrency/recent-counts.ts';

/** Failures count for so long, and for twice as long at the most. */
const RECENT_MS = 30_000;
/** After so many of them, the keys from a network wait for each other. */
const MAX_FAILED = 100;
/** In which they gather; those of all networks are looked up in one query then. */
const GATHER_MS = 100;
/** The number of them that may wait. */
const MAX_GATHERED = 100;
/** The keys that were good when they were last looked up. They are not held back for what others try, be they forgotten (epoch-cache.ts). */
const MAX_GOOD = 10_000;

/**
 * Looks up API keys that are not remembered. Each costs a query, be it made up (with a right checksum) or revoked. So a network whose keys are
 * none is slowed down: ten queries a second, however many keys it tries. It is not shut out, for a good caller may be behind the same proxy: a
 * key that was good here before is looked up at once, and a new one waits with the others.
 */
export class KeyLookUps {
  readonly #keys: CoalescedReads<RecognisedApiKey>;
  readonly #failed = new RecentCounts(RECENT_MS);
  readonly #good = new BoundedMap<string, true>(MAX_GOOD);
  /** The hashes of those that wait, by network. */
  readonly #gathered = new Map<string, Set<string>>();
  #gathering: Promise<void> | undefined;

  constructor(keys: CoalescedReads<RecognisedApiKey>) {
    this.#keys = keys;
  }

  /** By its hash (hexadecimal). Throws RATE_LIMITED where too many that come from the same network wait already. */
  async get(hash: string, peerAddress: string): Promise<RecognisedApiKey | undefined> {
    const network = networkOf(peerAddress);
    if (this.#failed.of(network) >= MAX_FAILED && !this.#good.has(hash)) await this.#gather(hash, network);
    // Counted beforehand, for many may come at the same time; taken back unless it is known that the key is none.
    this.#failed.add(network);
    let failed = false;
    try {
      const found = await this.#keys.get(hash);
      failed = found === undefined;
      if (failed) this.#good.delete(hash);
      else this.#good.set(hash, true);
      return found;
    } finally {
      if (!failed) this.#failed.add(network, -1);
    }
  }

  async #gather(hash: string, network: string): Promise<void> {
    const gathered = this.#gathered.get(network) ?? new Set();
    if (gathered.size >= MAX_GATHERED && !gathered.has(hash)) throw rateLimited(1);
    this.#gathered.set(network, gathered.add(hash));
    this.#gathering ??= sleep(GATHER_MS).then(() => {
      this.#gathering = undefined;
      this.#gathered.clear();
    });
    await this.#gathering;
  }
}
