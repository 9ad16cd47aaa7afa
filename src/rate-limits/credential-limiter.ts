import { BoundedMap } from '../concurrency/bounded-map.ts';
import type { Count } from './rate-limit.repository.ts';

/** The number of keys that are remembered; one beyond it asks the database again. */
const MAX_BLOCKED = 10_000;

type CountCalls = (keys: readonly string[], now: number, windowEnd: number) => Promise<Count[]>;

/** Counts every call against limits that all replicas share, each with a key of its own; those of one call in one statement. */
export class CredentialLimiter {
  readonly #count: CountCalls;
  readonly #windowMs: number;
  /** The keys that are over their limit. They are refused from memory, until their window ends. */
  readonly #blocked = new BoundedMap<string, number>(MAX_BLOCKED);

  constructor(count: CountCalls, windowMs: number) {
    this.#count = count;
    this.#windowMs = windowMs;
  }

  /** Takes the limits by their keys. Returns how many milliseconds to wait; 0 where none is exceeded. */
  async consume(limits: ReadonlyMap<string, number>): Promise<number> {
    const now = Date.now();
    const keys = [...limits.keys()];
    const wait = Math.max(0, ...keys.map((key) => (this.#blocked.get(key) ?? now) - now));
    if (wait > 0 || keys.length === 0) return wait;
    const counts = await this.#count(keys, now, now + this.#windowMs);
    const exceeded = counts.filter(({ key, points }) => points > (limits.get(key) ?? 0));
    for (const { key, expire } of exceeded) this.#blocked.set(key, expire);
    // By the clock of now: the window may have been begun by a call that came later but was counted first.
    const answeredAt = Date.now();
    return Math.max(0, ...exceeded.map(({ expire }) => Math.max(1, expire - answeredAt)));
  }
}
