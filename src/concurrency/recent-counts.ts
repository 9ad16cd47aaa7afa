import { BoundedMap } from './bounded-map.ts';

/** The keys that are counted in one window; one beyond it makes the oldest begin anew. */
const MAX_KEYS = 10_000;

/** Counts by key, of the window that runs and of the one before: so many milliseconds at least, and twice as many at the most. */
export class RecentCounts {
  readonly #windowMs: number;
  readonly #now: () => number;
  #current = new BoundedMap<string, number>(MAX_KEYS);
  #previous = new BoundedMap<string, number>(MAX_KEYS);
  #currentEnd: number;

  /** `now` is a clock of milliseconds that never goes back. */
  constructor(windowMs: number, now = () => performance.now()) {
    this.#windowMs = windowMs;
    this.#now = now;
    this.#currentEnd = now() + windowMs;
  }

  of(key: string): number {
    this.#moveOn();
    return (this.#current.get(key) ?? 0) + (this.#previous.get(key) ?? 0);
  }

  add(key: string, count = 1): void {
    this.#moveOn();
    this.#current.set(key, (this.#current.get(key) ?? 0) + count);
  }

  #moveOn(): void {
    const late = this.#now() - this.#currentEnd;
    if (late < 0) return;
    const none = new BoundedMap<string, number>(MAX_KEYS);
    this.#previous = late < this.#windowMs ? this.#current : none;
    this.#current = late < this.#windowMs ? none : new BoundedMap(MAX_KEYS);
    this.#currentEnd = this.#now() + this.#windowMs - (late % this.#windowMs);
  }
}
