import cluster, { type Worker } from 'node:cluster';
import type { Snapshot } from '../../observability/metrics/metrics.ts';
import { StartError } from '../../settings/start-error.ts';
import { isMessage, type Order, type Report, type StartOrder } from './messages.ts';

/** Connections are handed to the workers in turn. (Where each takes its own, a few long-lived ones end up with the same worker.) */
cluster.schedulingPolicy = cluster.SCHED_RR;

const MEASURE_LIMIT_MS = 1000;

/** A worker could not begin. The message is the one that it has sent itself, if it could. */
export class WorkerStartError extends StartError {
  override readonly name = 'WorkerStartError';
}

/** A worker as the primary sees it. */
export class WorkerProcess {
  readonly number: number;
  readonly begunAt = performance.now();
  /** Its port, once it listens; rejects where it cannot. */
  readonly listening: Promise<number>;
  /** The way it ended: `SIGKILL`, `code 1`. */
  readonly ended: Promise<string>;
  /** As it has found out about itself; undefined while it does not know. */
  serving: boolean | undefined;
  /** The latest that it has measured. */
  snapshot: Snapshot = [];
  /** The reason that it has given for not beginning. */
  reason: string | undefined;
  readonly #worker: Worker;
  readonly #start: StartOrder;
  readonly #onHealth: () => void;
  readonly #port = Promise.withResolvers<number>();
  #measuring: Promise<void> | undefined;
  #measured: () => void = () => undefined;

  constructor(start: StartOrder, onHealth: () => void) {
    this.number = start.number;
    this.#start = start;
    this.#onHealth = onHealth;
    this.#worker = cluster.fork();
    this.#worker.on('message', (message: unknown) => isMessage(message) && this.#onReport(message as Report));
    this.ended = endOf(this.#worker);
    this.listening = this.#port.promise;
    this.listening.catch(() => undefined);
    void this.ended.then((how) => this.#port.reject(new WorkerStartError(this.reason ?? `A worker ended with ${how} before it listened`)));
  }

  get pid(): number | undefined {
    return this.#worker.process.pid;
  }

  tell(order: Order): void {
    // To one that is about to end, a message may not get through any more.
    if (this.#worker.isConnected()) this.#worker.send(order, () => undefined);
  }

  /** Brings `snapshot` up to date; of one that does not answer in time, it stays as it is. */
  measure(): Promise<void> {
    this.#measuring ??= this.#measure().finally(() => {
      this.#measuring = undefined;
    });
    return this.#measuring;
  }

  kill(): void {
    this.#worker.process.kill('SIGKILL');
  }

  async #measure(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#measured = resolve;
    this.tell({ kind: 'measure' });
    const timer = setTimeout(resolve, MEASURE_LIMIT_MS);
    await Promise.race([promise, this.ended]);
    clearTimeout(timer);
  }

  #onReport(report: Report): void {
    switch (report.kind) {
      case 'awake':
        this.tell(this.#start);
        break;
      case 'health':
        this.serving = report.serving;
        this.#onHealth();
        break;
      case 'listening':
        this.#port.resolve(report.port);
        break;
      case 'failed':
        this.reason = report.reason;
        break;
      case 'measured':
        this.snapshot = report.snapshot;
        this.#measured();
        break;
    }
  }
}

function endOf(worker: Worker): Promise<string> {
  return new Promise((resolve) => {
    worker.once('exit', (code, signal) => resolve(signal || `code ${code}`));
    // A process that could not be made does not exit. Other errors are of messages that did not get through.
    worker.on('error', (error) => worker.process.pid === undefined && resolve(error.message));
  });
}
