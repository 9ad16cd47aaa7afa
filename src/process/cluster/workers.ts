import type { Log } from '../../observability/log.ts';
import type { StartOrder } from './messages.ts';
import { earlyEnds, restartDelayMs } from './restart-policy.ts';
import { WorkerProcess, WorkerStartError } from './worker-process.ts';

export type WorkerStart = Omit<StartOrder, 'kind' | 'number'>;

/** The processes that answer calls. One that ends is replaced, until all of them are told to. */
export class Workers {
  /** Rejects where none is left, and another one cannot begin. */
  readonly failure: Promise<never>;
  readonly #start: WorkerStart;
  readonly #log: Log;
  readonly #onEnd: (worker: WorkerProcess) => void;
  readonly #running = new Set<WorkerProcess>();
  readonly #replacements = new Set<NodeJS.Timeout>();
  readonly #fail: (error: Error) => void;
  #replacing = false;

  constructor(start: WorkerStart, log: Log, onEnd: (worker: WorkerProcess) => void) {
    this.#start = start;
    this.#log = log;
    this.#onEnd = onEnd;
    const { promise, reject } = Promise.withResolvers<never>();
    promise.catch(() => undefined);
    this.failure = promise;
    this.#fail = reject;
    // Also where this process ends in no order: a worker that is stuck would not notice that it is gone.
    process.once('exit', () => this.#killAll());
  }

  get running(): ReadonlySet<WorkerProcess> {
    return this.#running;
  }

  /** The port, once all of them listen; rejects with the reason of the first that cannot. */
  async start(count: number): Promise<number> {
    const workers = Array.from({ length: count }, (_, index) => this.#launch(index + 1, 0));
    const [port] = await Promise.all(workers.map(({ listening }) => listening));
    this.#replacing = true;
    // One that has ended since then was not replaced.
    for (const worker of workers) if (!this.#running.has(worker)) this.#replace(worker, 0);
    return port as number;
  }

  /** Resolves when all of them have ended. */
  async end(): Promise<void> {
    this.#replacing = false;
    for (const timer of this.#replacements) clearTimeout(timer);
    for (const worker of this.#running) worker.tell({ kind: 'end' });
    await Promise.all([...this.#running].map(({ ended }) => ended));
  }

  #launch(number: number, earlyBefore: number): WorkerProcess {
    const worker = new WorkerProcess({ kind: 'start', number, ...this.#start }, () => this.#tellHealth());
    this.#running.add(worker);
    void worker.listening.then(
      () => this.#log.info('worker listens', { worker: number, pid: worker.pid }),
      () => undefined,
    );
    void worker.ended.then((how) => this.#onEnded(worker, how, earlyBefore));
    return worker;
  }

  #onEnded(worker: WorkerProcess, how: string, earlyBefore: number): void {
    this.#running.delete(worker);
    this.#onEnd(worker);
    this.#tellHealth();
    if (!this.#replacing) return;
    const { number, pid, reason } = worker;
    this.#log.warn('worker ended', { worker: number, pid, how, reason });
    if (reason !== undefined && this.#running.size === 0) this.#fail(new WorkerStartError(reason));
    else this.#replace(worker, earlyBefore);
  }

  #replace({ number, begunAt }: WorkerProcess, earlyBefore: number): void {
    const early = earlyEnds(performance.now() - begunAt, earlyBefore);
    const timer = setTimeout(() => {
      this.#replacements.delete(timer);
      this.#launch(number, early);
    }, restartDelayMs(early));
    this.#replacements.add(timer);
  }

  #tellHealth(): void {
    const serving = [...this.#running].every((worker) => worker.serving !== false);
    for (const worker of this.#running) worker.tell({ kind: 'health of all', serving });
  }

  #killAll(): void {
    for (const worker of this.#running) worker.kill();
  }
}
