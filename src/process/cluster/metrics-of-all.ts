import { AggregatorRegistry, Counter, Gauge, Registry } from 'prom-client';
import type { Snapshot } from '../../observability/metrics/metrics.ts';
import type { MetricsText } from '../../observability/metrics/metrics-server.ts';
import type { WorkerProcess } from './worker-process.ts';

/** The types of metrics that only ever grow. */
const GROWING = ['counter', 'histogram'];

/**
 * The metrics of all workers, added up: counters and histograms are sums, a gauge is what its `aggregator` says. The counts of a worker
 * stay when it is replaced, as far as it was read: a sum that shrinks would look like a restart, and all of it like new calls.
 */
export class MetricsOfAll implements MetricsText {
  readonly #own = new Registry();
  readonly #ends = new Counter({
    name: 'identity_worker_ends_total',
    help: 'Workers that ended by themselves, and were replaced.',
    registers: [this.#own],
  });
  readonly #running: ReadonlySet<WorkerProcess>;
  #ended: Promise<Snapshot> = Promise.resolve([]);

  constructor(running: ReadonlySet<WorkerProcess>) {
    this.#running = running;
    new Gauge({
      name: 'identity_workers',
      help: 'Processes that answer calls, or are about to.',
      registers: [this.#own],
      collect() {
        this.set(running.size);
      },
    });
  }

  get contentType(): string {
    return this.#own.contentType;
  }

  async text(): Promise<string> {
    const running = [...this.#running];
    await Promise.all(running.map((worker) => worker.measure()));
    // One that has ended meanwhile is among the ended: both are looked up at the same moment.
    const snapshots = running.filter((worker) => this.#running.has(worker)).map(({ snapshot }) => snapshot);
    const ended = await this.#ended;
    return `${await AggregatorRegistry.aggregate([...snapshots, ended]).metrics()}\n${await this.#own.metrics()}`;
  }

  keep({ snapshot }: WorkerProcess): void {
    this.#ends.inc();
    const grown = snapshot.filter(({ type }) => GROWING.includes(String(type)));
    this.#ended = this.#ended.then((ended) => AggregatorRegistry.aggregate([ended, grown]).getMetricsAsJSON());
  }
}
