import type { Pool } from 'pg';
import { BoundedMap } from '../bounded-map.ts';
import { repeat } from '../repeat.ts';
import { readEpoch } from './caller.repository.ts';

/** A change of roles, accounts or keys is obeyed by every replica after at most this long. */
export const MAX_STALENESS_MS = 250;
const POLL_MS = 100;
/** Of each kind; what is beyond this is looked up again. */
const MAX_ENTRIES = 10_000;

/** What callers are recognised by: an `authorization` header with a key, a certificate of a service account, an access token of a user. */
type Kind = 'header' | 'account' | 'user';

/**
 * Remembers what was looked up as long as nothing about authorization has changed anywhere (see database/epoch.ts). It asks the database
 * for the epoch ten times a second. An answer older than MAX_STALENESS_MS is not relied on: without a database nobody is recognised from
 * memory.
 */
export class EpochCache {
  readonly #pool: Pool;
  readonly #entries: Readonly<Record<Kind, BoundedMap<string, unknown>>> = {
    header: new BoundedMap(MAX_ENTRIES),
    account: new BoundedMap(MAX_ENTRIES),
    user: new BoundedMap(MAX_ENTRIES),
  };
  #epoch: string | undefined;
  /** When the last successful question was asked. */
  #askedAt = Number.NEGATIVE_INFINITY;
  #stop: () => unknown = () => undefined;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  async start(): Promise<void> {
    await this.#ask().catch(() => undefined);
    // While the database is away, the entries turn stale by themselves.
    this.#stop = repeat(
      () => this.#ask(),
      POLL_MS,
      () => undefined,
    );
  }

  stop(): void {
    this.#stop();
  }

  /** What is remembered under the key, if that can be relied on now. */
  peek<T>(kind: Kind, key: string): T | undefined {
    return this.#isFresh() ? (this.#entries[kind].get(key) as T | undefined) : undefined;
  }

  /** What is remembered under the key, or else what `load` finds; nothing is remembered of what it does not find. */
  async get<T>(kind: Kind, key: string, load: () => Promise<T | undefined>): Promise<T | undefined> {
    const remembered = this.peek<T>(kind, key);
    if (remembered !== undefined) return remembered;
    const epoch = this.#epoch;
    const loaded = await load();
    // Loaded while a new epoch began: it may be from before.
    if (loaded !== undefined && epoch === this.#epoch) this.#entries[kind].set(key, loaded);
    return loaded;
  }

  #isFresh(): boolean {
    return performance.now() - this.#askedAt <= MAX_STALENESS_MS;
  }

  async #ask(): Promise<void> {
    const askedAt = performance.now();
    const epoch = await readEpoch(this.#pool);
    if (epoch !== this.#epoch) for (const remembered of Object.values(this.#entries)) remembered.clear();
    this.#epoch = epoch;
    this.#askedAt = askedAt;
  }
}
