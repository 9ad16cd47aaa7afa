import type { Pool } from 'pg';
import { repeat } from '../repeat.ts';
import { lastPosition, readEventsAfter, type ToldEvent } from './event.repository.ts';

/** What others commit is known here after at most this long; an answer that is older is not relied on. */
export const MAX_LAG_MS = 250;
const POLL_MS = 100;
const BATCH = 1000;

/**
 * Follows the events as they are committed, in every replica, for what replicas keep in memory. Unlike a consumer it has no cursor in the
 * database: what was committed before the start was never in memory.
 */
export class EventTail {
  readonly #pool: Pool;
  readonly #listeners: ((event: ToldEvent) => void)[] = [];
  #position = 0;
  /** When the last question was asked that was answered completely. */
  #askedAt = Number.NEGATIVE_INFINITY;
  #stop: () => unknown = () => undefined;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  /** Tells an event that this process has committed itself; it comes again with the others. */
  readonly tell = (event: ToldEvent): void => {
    for (const listener of this.#listeners) listener(event);
  };

  /** To be called before the start. */
  onEvent(listener: (event: ToldEvent) => void): void {
    this.#listeners.push(listener);
  }

  async start(): Promise<void> {
    this.#position = await lastPosition(this.#pool);
    await this.#read().catch(() => undefined);
    // While the database is away, what is remembered turns stale by itself.
    this.#stop = repeat(
      () => this.#read(),
      POLL_MS,
      () => undefined,
    );
  }

  stop(): void {
    this.#stop();
  }

  /** Whether everything that was committed up to MAX_LAG_MS ago has been told. */
  isCurrent(): boolean {
    return performance.now() - this.#askedAt <= MAX_LAG_MS;
  }

  lagSeconds(): number {
    return (performance.now() - this.#askedAt) / 1000;
  }

  async #read(): Promise<void> {
    while (await this.#readBatch());
  }

  /** Returns whether there may be more. */
  async #readBatch(): Promise<boolean> {
    const askedAt = performance.now();
    const events = await readEventsAfter(this.#pool, this.#position, BATCH);
    for (const event of events) this.tell(event);
    this.#position = events.at(-1)?.position ?? this.#position;
    if (events.length === BATCH) return true;
    this.#askedAt = askedAt;
    return false;
  }
}
