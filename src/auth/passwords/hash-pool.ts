import { availableParallelism } from 'node:os';
import { Piscina } from 'piscina';
import { overloaded } from '../auth.errors.ts';
import { type HashTask, STARTED, WAITING, WITHDRAWN } from './hash-worker.ts';
import type { SchemeSettings, Verdict } from './password-scheme.ts';

/** Long enough for a burst, short enough that a caller's deadline is not spent in the queue. */
const QUEUED_PER_THREAD = 16;

/** The call was cancelled while its hash still waited: nothing was computed. */
export class HashWithdrawn extends Error {
  override readonly name = 'HashWithdrawn';
}

type Work = { kind: 'hash'; password: string } | { kind: 'verify'; password: string; stored: string };

/**
 * Hashes passwords on threads of their own, one a core, at low priority, so that other calls stay quick while both cores hash. What
 * waits too long is not queued: a full queue refuses (OVERLOADED).
 */
export class HashPool {
  readonly #pool: Piscina<HashTask, string | Verdict | undefined>;
  readonly #settings: SchemeSettings;
  readonly #maxQueue: number;

  constructor(settings: SchemeSettings, threads = availableParallelism()) {
    this.#settings = settings;
    this.#maxQueue = threads * QUEUED_PER_THREAD;
    this.#pool = new Piscina({
      filename: new URL('./hash-worker.ts', import.meta.url).href,
      minThreads: threads,
      maxThreads: threads,
      niceIncrement: 19,
      maxQueue: this.#maxQueue,
    });
  }

  async hash(password: string, signal: AbortSignal): Promise<string> {
    return (await this.#run({ kind: 'hash', password }, signal)) as string;
  }

  async verify(password: string, stored: string, signal: AbortSignal): Promise<Verdict> {
    return (await this.#run({ kind: 'verify', password, stored }, signal)) as Verdict;
  }

  close(): Promise<void> {
    return this.#pool.destroy();
  }

  /**
   * A cancelled call withdraws its task only while it waits. Piscina's own abort would end the thread in the middle of a hash; and the
   * lockout has to know whether a password was compared (then the attempt counts) or not.
   */
  async #run(work: Work, signal: AbortSignal): Promise<string | Verdict> {
    if (signal.aborted) throw new HashWithdrawn();
    if (this.#pool.queueSize >= this.#maxQueue) throw overloaded();
    const claim = new Int32Array(new SharedArrayBuffer(4));
    const removal = new AbortController();
    const withdraw = () => {
      if (Atomics.compareExchange(claim, 0, WAITING, WITHDRAWN) === WAITING) removal.abort();
    };
    signal.addEventListener('abort', withdraw, { once: true });
    try {
      const result = await this.#pool.run({ ...work, claim, settings: this.#settings }, { signal: removal.signal });
      if (result === undefined) throw new HashWithdrawn();
      return result;
    } catch (error) {
      throw Atomics.load(claim, 0) === STARTED ? error : new HashWithdrawn('withdrawn', { cause: error });
    } finally {
      signal.removeEventListener('abort', withdraw);
    }
  }
}
