import { runPeriodically } from '../concurrency/periodic-task.ts';
import type { PreparedStatements } from '../database/prepared.ts';
import { readChangesAfter } from './change.repository.ts';
import { lastPosition, type ToldEvent } from './event.repository.ts';

/** The longest time until a replica obeys a change that was committed elsewhere. */
export const MAX_STALENESS_MS = 250;
const POLL_MS = 100;
const BATCH = 1000;

/**
 * Follows what is committed anywhere, for what a replica keeps in memory about who is who: the events (ADR 9), and the epoch of authorization
 * (ADR 8). Both are asked for in one statement, ten times a second. An answer older than MAX_STALENESS_MS is not relied on: while the database
 * is away, nobody is recognised from memory. Unlike a consumer it has no cursor in the database: what was committed before the start was never
 * in memory. A database that has lost events which were told makes it forget everything: what was known because of them may not be so.
 */
export class ChangeTail {
  readonly #db: PreparedStatements;
  readonly #eventListeners: ((event: ToldEvent) => void)[] = [];
  readonly #epochListeners: (() => void)[] = [];
  #position = 0;
  #epoch: string | undefined;
  #generation = 0;
  /** The time of the last question that was answered completely. */
  #askedAt = Number.NEGATIVE_INFINITY;
  #stop: () => unknown = () => undefined;

  constructor(db: PreparedStatements) {
    this.#db = db;
  }

  /** Another number after each change of authorization that is known here. */
  get generation(): number {
    return this.#generation;
  }

  /** Tells an event that this process has committed itself; it comes again with the others. */
  readonly tell = (event: ToldEvent): void => {
    for (const listener of this.#eventListeners) listener(event);
  };

  /** This process has committed a change of authorization itself: it forgets what it knew before, and does not wait for the new epoch. */
  readonly authorizationChanged = (): void => {
    this.#generation++;
    for (const listener of this.#epochListeners) listener();
  };

  /** To be called before the start. */
  onEvent(listener: (event: ToldEvent) => void): void {
    this.#eventListeners.push(listener);
  }

  /** To be called before the start. */
  onNewEpoch(listener: () => void): void {
    this.#epochListeners.push(listener);
  }

  async start(): Promise<void> {
    this.#position = await lastPosition(this.#db);
    await this.#read().catch(() => undefined);
    // While the database is away, what is remembered turns stale by itself.
    this.#stop = runPeriodically(
      () => this.#read(),
      POLL_MS,
      () => undefined,
    );
  }

  stop(): void {
    this.#stop();
  }

  /** Tells whether everything that was committed up to MAX_STALENESS_MS ago has been told. */
  isCurrent(): boolean {
    return performance.now() - this.#askedAt <= MAX_STALENESS_MS;
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
    const { epoch, lastPosition, events } = await readChangesAfter(this.#db, this.#position, BATCH);
    if (epoch !== this.#epoch || lastPosition < this.#position) this.#enter(epoch);
    // After a failover or a restore, positions are given again that were seen before.
    if (lastPosition < this.#position) this.#position = lastPosition;
    for (const event of events) this.tell(event);
    this.#position = events.at(-1)?.position ?? this.#position;
    if (events.length === BATCH) return true;
    this.#askedAt = askedAt;
    return false;
  }

  #enter(epoch: string): void {
    this.#epoch = epoch;
    this.authorizationChanged();
  }
}
