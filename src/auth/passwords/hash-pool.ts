import { availableParallelism } from 'node:os';
import type { Call } from '../../call/call.ts';
import { type Client, NO_CLIENT, originOf } from '../../call/client.ts';
import type { IdentityError } from '../../call/errors.ts';
import { endsWithin } from '../../concurrency/time-limit.ts';
import { type Step, UNTRACED } from '../../observability/tracing/tracer.ts';
import { overloaded } from '../auth.errors.ts';
import { type Asking, FairQueue } from './fair-queue.ts';
import { lowerPriorityOfPool } from './hash-threads.ts';
import { hashPassword, type SchemeSettings, type StoredHash, type Verdict } from './password-scheme.ts';

/** Long enough for a burst, short enough that a caller's deadline (10 s, unless it says otherwise) is not spent in the queue. */
const MAX_WAIT_MS = 5000;
/** However quick the hashes are. */
const MAX_QUEUE_PER_THREAD = 32;
/** A burst is no smaller on a small machine. */
const MAX_QUEUE = 64;
/** However slow they are: two a thread are no burst. */
const MIN_QUEUE_PER_THREAD = 2;
/**
 * The current duration of a hash is taken as the median of so many: one that a busy machine held up says nothing about
 * the next.
 */
const SAMPLE = 9;

/** At a low priority, a hash can take long on a busy machine; nobody waits for it any more. */
const CLOSE_LIMIT_MS = 2000;

/** A password to be hashed, as the queue sees it. */
export interface HashTurn extends Asking {
  /** Withdraws it while it waits. */
  readonly signal: AbortSignal;
}

/** The turn of a call about this client; `known`: it comes from a device that the account knows. */
export function turnOf(call: Call, client: Client = NO_CLIENT, { known = false } = {}): HashTurn {
  return { signal: call.signal, origin: originOf(call, client), known };
}

/** That of the service itself. */
export const OWN_TURN: HashTurn = { signal: new AbortController().signal, origin: 'service' };

/** A hash that waits for a thread. */
interface Waiting {
  begin(): void;
  refuse(error: unknown): void;
}

/** The call was cancelled while its hash still waited: nothing was computed. */
export class HashWithdrawn extends Error {
  override readonly name = 'HashWithdrawn';
}

/**
 * The number of threads of each of several workers: together about one a core. But a connection stays with its worker,
 * so one thread would leave the other cores idle while the passwords of one caller queue.
 */
export function hashThreads(workers: number, cores = availableParallelism()): number {
  return Math.min(cores, Math.max(2, Math.ceil(cores / workers)));
}

export interface HashMetrics {
  readonly hashWait: { observe(seconds: number): void };
  readonly hashesShed: { inc(): void };
}

/** Those who are told how long hashes take; absent: nobody. */
export interface HashObservers {
  readonly metrics?: HashMetrics | undefined;
  readonly step?: Step | undefined;
}

/**
 * Hashes passwords on threads of Node's own pool, one a core, at low priority, so that other calls stay quick while all
 * cores hash. There are no more in line than can begin in time; who has to go where it is full, and whose turn it is, is fair among
 * origins (OVERLOADED).
 *
 * The queue is ours, and the threads get only the work that they can begin with: the lockout has to know whether a
 * password was compared (then the attempt counts) or not. JavaScript threads would do the same for 10 MB each.
 */
export class HashPool {
  readonly #settings: SchemeSettings;
  readonly #threadCount: number;
  readonly #metrics: HashMetrics | undefined;
  readonly #step: Step;
  /** The durations of the latest hashes, the oldest first. */
  readonly #latestMs: number[] = [];
  readonly #queue = new FairQueue<Waiting>();
  #idle: number;

  constructor(settings: SchemeSettings, { metrics, step = UNTRACED }: HashObservers = {}, threads = availableParallelism()) {
    this.#settings = settings;
    this.#metrics = metrics;
    this.#step = step;
    this.#threadCount = threads;
    this.#idle = threads;
    lowerPriorityOfPool();
  }

  get waiting(): number {
    return this.#queue.size;
  }

  /** Throws OVERLOADED where a password that came now would be refused: cheaper than to find it out later. */
  requireRoom(turn: Asking): void {
    if (this.#idle > 0 || this.#queue.hasRoomFor(turn, this.#maxQueue())) return;
    this.#queue.noteRefusal(turn);
    throw this.#shed();
  }

  hash(password: string, turn: HashTurn): Promise<string> {
    return this.#run('hash password', turn, () => hashPassword(password, this.#settings));
  }

  /** Tells whether the password is the one of the stored hash. */
  async verify(password: string, stored: StoredHash, turn: HashTurn): Promise<Verdict> {
    const verdict = await this.#run('verify password', turn, () => stored.verify(password));
    if (verdict.matches) this.#queue.forgiveTurn(turn);
    return verdict;
  }

  /** Finishes what was begun. */
  async close(): Promise<void> {
    // Once all threads are taken, none is at work.
    const all = Array.from({ length: this.#threadCount }, () => this.#takeThread(OWN_TURN));
    await endsWithin(CLOSE_LIMIT_MS, Promise.allSettled(all));
  }

  /** A cancelled call withdraws its hash only while it waits; one that was begun is finished. */
  async #run<Result>(step: string, turn: HashTurn, work: () => Promise<Result>): Promise<Result> {
    const askedAt = performance.now();
    await this.#step('wait for a hash thread', () => this.#takeThread(turn));
    const begunAt = performance.now();
    this.#metrics?.hashWait.observe((begunAt - askedAt) / 1000);
    try {
      return await this.#step(step, work);
    } finally {
      this.#learn(performance.now() - begunAt);
      this.#passThreadOn();
    }
  }

  async #takeThread(turn: HashTurn): Promise<void> {
    const { signal } = turn;
    if (signal.aborted) throw new HashWithdrawn();
    if (this.#idle > 0) {
      this.#idle--;
      this.#queue.noteTurn(turn);
      return;
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiting: Waiting = { begin: resolve, refuse: reject };
    const withdraw = () => {
      // Not in the queue any more: it has been given a thread already.
      if (this.#queue.remove(waiting)) reject(new HashWithdrawn());
    };
    this.#queue.add(turn, waiting, this.#maxQueue())?.refuse(this.#shed());
    signal.addEventListener('abort', withdraw, { once: true });
    await promise.finally(() => signal.removeEventListener('abort', withdraw));
  }

  #shed(): IdentityError {
    this.#metrics?.hashesShed.inc();
    return overloaded();
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
    const next = this.#queue.next();
    if (next) next.begin();
    else this.#idle++;
  }
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1] as number;
}
