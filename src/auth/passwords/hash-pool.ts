import { availableParallelism } from 'node:os';
import { Piscina } from 'piscina';
import { overloaded } from '../auth.errors.ts';
import type { HashTask, RollCall } from './hash-worker.ts';
import type { SchemeSettings, Verdict } from './password-scheme.ts';

/** Long enough for a burst, short enough that a caller's deadline is not spent in the queue. */
const QUEUED_PER_THREAD = 32;
/** A burst is no smaller on a small machine. */
const MIN_QUEUE = 64;

/** The call was cancelled while its hash still waited: nothing was computed. */
export class HashWithdrawn extends Error {
  override readonly name = 'HashWithdrawn';
}

type Work = { kind: 'hash'; password: string } | { kind: 'verify'; password: string; stored: string };

/**
 * Hashes passwords on threads of their own, one a core, at low priority, so that other calls stay quick while all cores hash. What
 * waits too long is not queued: a full queue refuses (OVERLOADED).
 *
 * The queue is ours, and the threads get only what they can begin with: the lockout has to know whether a password was compared (then
 * the attempt counts) or not, and Piscina's own abort would end the thread if it has been handed the task.
 */
export class HashPool {
  readonly #threads: Piscina<HashTask | RollCall, string | Verdict | undefined>;
  readonly #allArrived: Promise<unknown>;
  readonly #settings: SchemeSettings;
  readonly #maxQueue: number;
  /** Who waits for a thread, the longest first; calling it hands one over. */
  readonly #queue = new Set<() => void>();
  #idle: number;

  constructor(settings: SchemeSettings, threads = availableParallelism()) {
    this.#settings = settings;
    this.#maxQueue = Math.max(threads * QUEUED_PER_THREAD, MIN_QUEUE);
    this.#idle = threads;
    this.#threads = new Piscina({
      filename: new URL('./hash-worker.ts', import.meta.url).href,
      minThreads: threads,
      maxThreads: threads,
      niceIncrement: 19,
    });
    this.#allArrived = this.#callTheRoll(threads);
  }

  async hash(password: string, signal: AbortSignal): Promise<string> {
    return (await this.#run({ kind: 'hash', password }, signal)) as string;
  }

  async verify(password: string, stored: string, signal: AbortSignal): Promise<Verdict> {
    return (await this.#run({ kind: 'verify', password, stored }, signal)) as Verdict;
  }

  /** A thread that is ended while it still loads the native hash takes the whole process with it (Napi::Error, SIGABRT). */
  async close(): Promise<void> {
    await this.#allArrived;
    await this.#threads.destroy();
  }

  #callTheRoll(threads: number): Promise<unknown> {
    const arrived = new Int32Array(new SharedArrayBuffer(4));
    return Promise.allSettled(Array.from({ length: threads }, () => this.#threads.run({ kind: 'roll call', arrived, threads })));
  }

  /** A cancelled call withdraws its hash only while it waits; one that was begun is finished. */
  async #run(work: Work, signal: AbortSignal): Promise<string | Verdict> {
    await this.#takeThread(signal);
    try {
      return (await this.#threads.run({ ...work, settings: this.#settings })) as string | Verdict;
    } finally {
      this.#passThreadOn();
    }
  }

  async #takeThread(signal: AbortSignal): Promise<void> {
    if (signal.aborted) throw new HashWithdrawn();
    if (this.#idle > 0) {
      this.#idle--;
      return;
    }
    if (this.#queue.size >= this.#maxQueue) throw overloaded();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const withdraw = () => {
      // Not in the queue any more: it has been given a thread already.
      if (this.#queue.delete(resolve)) reject(new HashWithdrawn());
    };
    this.#queue.add(resolve);
    signal.addEventListener('abort', withdraw, { once: true });
    await promise.finally(() => signal.removeEventListener('abort', withdraw));
  }

  #passThreadOn(): void {
    const [next] = this.#queue;
    if (next === undefined) {
      this.#idle++;
      return;
    }
    this.#queue.delete(next);
    next();
  }
}
