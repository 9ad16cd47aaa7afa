import { availableParallelism } from 'node:os';
import { Piscina } from 'piscina';
import { endsWithin } from '../../patience.ts';
import { type Step, UNTRACED } from '../../tracing/tracer.ts';
import { overloaded } from '../auth.errors.ts';
import type { HashTask, RollCall } from './hash-worker.ts';
import type { SchemeSettings, Verdict } from './password-scheme.ts';

/** Long enough for a burst, short enough that a caller's deadline (10 s, unless it says otherwise) is not spent in the queue. */
const MAX_WAIT_MS = 5000;
/** However quick the hashes are. */
const MAX_QUEUE_PER_THREAD = 32;
/** A burst is no smaller on a small machine. */
const MAX_QUEUE = 64;
/** However slow they are: two a thread are no burst. */
const MIN_QUEUE_PER_THREAD = 2;
/** What hashes take now is the median of so many: one that a busy machine held up says nothing about the next. */
const SAMPLE = 9;

/** At the lowest priority, a hash can take long on a busy machine; nobody waits for it any more. */
const CLOSE_PATIENCE_MS = 2000;

const NEVER = new AbortController().signal;

/** The call was cancelled while its hash still waited: nothing was computed. */
export class HashWithdrawn extends Error {
  override readonly name = 'HashWithdrawn';
}

/**
 * How many threads each of several workers has: together about one a core. But a connection stays with its worker, so one thread would
 * leave the other cores idle while the passwords of one caller queue.
 */
export function hashThreads(workers: number, cores = availableParallelism()): number {
  return Math.min(cores, Math.max(2, Math.ceil(cores / workers)));
}

export interface HashMetrics {
  readonly hashWait: { observe(seconds: number): void };
  readonly hashesShed: { inc(): void };
}

/** Who is told what hashes take; absent: nobody. */
export interface HashObservers {
  readonly metrics?: HashMetrics | undefined;
  readonly step?: Step | undefined;
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
  readonly #threadCount: number;
  readonly #metrics: HashMetrics | undefined;
  readonly #step: Step;
  /** What the latest hashes took, the oldest first. */
  readonly #latestMs: number[] = [];
  /** Who waits for a thread, the longest first; calling it hands one over. */
  readonly #queue = new Set<() => void>();
  #idle: number;

  constructor(settings: SchemeSettings, { metrics, step = UNTRACED }: HashObservers = {}, threads = availableParallelism()) {
    this.#settings = settings;
    this.#metrics = metrics;
    this.#step = step;
    this.#threadCount = threads;
    this.#idle = threads;
    this.#threads = new Piscina({
      filename: new URL('./hash-worker.ts', import.meta.url).href,
      minThreads: threads,
      maxThreads: threads,
      niceIncrement: 19,
    });
    this.#allArrived = this.#callTheRoll(threads);
  }

  get waiting(): number {
    return this.#queue.size;
  }

  /** Throws OVERLOADED where a password that came now would be refused: cheaper than to find it out later. */
  requireRoom(): void {
    if (this.#idle > 0 || this.#queue.size < this.#maxQueue()) return;
    this.#metrics?.hashesShed.inc();
    throw overloaded();
  }

  async hash(password: string, signal: AbortSignal): Promise<string> {
    return (await this.#run({ kind: 'hash', password }, signal)) as string;
  }

  async verify(password: string, stored: string, signal: AbortSignal): Promise<Verdict> {
    return (await this.#run({ kind: 'verify', password, stored }, signal)) as Verdict;
  }

  /**
   * Finishes what was begun. A thread that is ended while it still loads the native hash takes the whole process with it (Napi::Error,
   * SIGABRT); one that is ended while it hashes may answer yet, which Piscina throws where nobody can catch it.
   */
  async close(): Promise<void> {
    await this.#allArrived;
    // Even the end of a thread takes processor time: on a machine that starves them, the end of the process is theirs.
    await endsWithin(CLOSE_PATIENCE_MS, this.#end());
  }

  async #end(): Promise<void> {
    // Whoever has taken all threads knows that none is at work.
    const all = Array.from({ length: this.#threads.options.maxThreads }, () => this.#takeThread(NEVER));
    await Promise.allSettled(all);
    await this.#threads.destroy();
  }

  #callTheRoll(threads: number): Promise<unknown> {
    const arrived = new Int32Array(new SharedArrayBuffer(4));
    return Promise.allSettled(Array.from({ length: threads }, () => this.#threads.run({ kind: 'roll call', arrived, threads })));
  }

  /** A cancelled call withdraws its hash only while it waits; one that was begun is finished. */
  async #run(work: Work, signal: AbortSignal): Promise<string | Verdict> {
    const askedAt = performance.now();
    await this.#step('wait for a hash thread', () => this.#takeThread(signal));
    // A thread that only starts, at the lowest priority, says nothing about the pace of hashes.
    await this.#allArrived;
    const begunAt = performance.now();
    this.#metrics?.hashWait.observe((begunAt - askedAt) / 1000);
    try {
      return (await this.#step(`${work.kind} password`, () => this.#threads.run({ ...work, settings: this.#settings }))) as
        | string
        | Verdict;
    } finally {
      this.#learn(performance.now() - begunAt);
      this.#passThreadOn();
    }
  }

  async #takeThread(signal: AbortSignal): Promise<void> {
    if (signal.aborted) throw new HashWithdrawn();
    if (this.#idle > 0) {
      this.#idle--;
      return;
    }
    this.requireRoom();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const withdraw = () => {
      // Not in the queue any more: it has been given a thread already.
      if (this.#queue.delete(resolve)) reject(new HashWithdrawn());
    };
    this.#queue.add(resolve);
    signal.addEventListener('abort', withdraw, { once: true });
    await promise.finally(() => signal.removeEventListener('abort', withdraw));
  }

  #learn(ms: number): void {
    this.#latestMs.push(ms);
    if (this.#latestMs.length > SAMPLE) this.#latestMs.shift();
  }

  /** As many as can begin in time, at the pace of the latest ones. */
  #maxQueue(): number {
    const threads = this.#threadCount;
    const most = Math.max(threads * MAX_QUEUE_PER_THREAD, MAX_QUEUE);
    if (this.#latestMs.length < SAMPLE) return most;
    const inTime = Math.floor((threads * MAX_WAIT_MS) / median(this.#latestMs));
    return Math.min(Math.max(inTime, threads * MIN_QUEUE_PER_THREAD), most);
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

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1] as number;
}
