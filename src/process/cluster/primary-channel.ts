import cluster, { type Worker } from 'node:cluster';
import type { Team } from '../../app/resources.ts';
import type { Snapshot } from '../../observability/metrics/metrics.ts';
import type { HealthOfAll } from '../../rpc/health.ts';
import { isMessage, type Order, type Report, type StartOrder } from './messages.ts';

/** The primary, as a worker sees it. */
export class PrimaryChannel {
  readonly #worker: Worker;
  readonly #onEnd: () => void;
  readonly #start = Promise.withResolvers<StartOrder>();
  #onHealth: (serving: boolean) => void = () => undefined;
  #measure: () => Promise<Snapshot> = async () => [];

  /** `onEnd`: the primary says so, or is gone. */
  constructor(onEnd: () => void) {
    if (!cluster.worker) throw new Error('not a worker');
    this.#worker = cluster.worker;
    this.#onEnd = onEnd;
    this.#worker.on('message', (message: unknown) => isMessage(message) && this.#onOrder(message as Order));
    // A message that does not get through; that the primary is gone is told by the next one.
    this.#worker.on('error', () => undefined);
    this.#worker.once('disconnect', () => this.#onDisconnect());
  }

  /** Resolves with the order to begin, and the data for it; never, if the primary is gone before it gives the order. */
  start(): Promise<StartOrder> {
    this.tell({ kind: 'awake' });
    return this.#start.promise;
  }

  /** The things that this worker has in common with the others. */
  team(number: number): Team {
    let told: boolean | undefined;
    const health: HealthOfAll = {
      report: (serving) => {
        if (serving !== told) void this.tell({ kind: 'health', serving });
        told = serving;
      },
      onChange: (listener) => {
        this.#onHealth = listener;
      },
    };
    return {
      number,
      health,
      offerMetrics: (snapshot) => {
        this.#measure = snapshot;
      },
    };
  }

  /** Resolves when it is sent, or cannot be. */
  tell(report: Report): Promise<void> {
    return new Promise((resolve) => {
      if (this.#worker.isConnected()) this.#worker.send(report, () => resolve());
      else resolve();
    });
  }

  #onDisconnect(): void {
    // By itself Node would end the process here and now, and break off the calls in flight.
    this.#worker.exitedAfterDisconnect = true;
    this.#onEnd();
  }

  #onOrder(order: Order): void {
    switch (order.kind) {
      case 'start':
        this.#start.resolve(order);
        break;
      case 'health of all':
        this.#onHealth(order.serving);
        break;
      case 'measure':
        this.#measure().then(
          (snapshot) => this.tell({ kind: 'measured', snapshot }),
          // The primary goes on with what it has.
          () => undefined,
        );
        break;
      case 'end':
        this.#onEnd();
        break;
    }
  }
}
