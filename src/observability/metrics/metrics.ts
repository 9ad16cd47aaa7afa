import { type Aggregator, Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** The metrics of a process at one moment, as they can be sent to another one. */
export type Snapshot = Awaited<ReturnType<Registry['getMetricsAsJSON']>>;

/** From a look into memory to the longest wait for a password hash. */
const SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** The metrics of the service, in a registry of its own: two services in one process do not count into each other. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #registers = [this.#registry];

  readonly #calls = new Histogram({
    name: 'identity_rpc_duration_seconds',
    help: 'How long calls took, by RPC and status code; its count is the number of calls.',
    labelNames: ['rpc', 'code'],
    buckets: SECONDS,
    registers: this.#registers,
  });

  readonly #failures = new Counter({
    name: 'identity_rpc_failures_total',
    help: 'Calls that failed, by RPC and reason (identity.v1.ErrorReason): what becomes of logins, for one.',
    labelNames: ['rpc', 'reason'],
    registers: this.#registers,
  });

  readonly auditEvents = new Counter({
    name: 'identity_audit_events_total',
    help: 'What was written to the audit trail, by type: logins, failed logins, lockouts, changes.',
    labelNames: ['type'],
    registers: this.#registers,
  });

  readonly hashWait = new Histogram({
    name: 'identity_hash_wait_seconds',
    help: 'How long passwords waited for a thread to be hashed on.',
    buckets: SECONDS,
    registers: this.#registers,
  });

  readonly hashesShed = new Counter({
    name: 'identity_hashes_shed_total',
    help: 'Passwords that were refused because too many others were waiting (OVERLOADED).',
    registers: this.#registers,
  });

  readonly breachCheckFailures = new Counter({
    name: 'identity_breach_check_failures_total',
    help: 'New passwords that were not looked up among the leaked ones, because the server that knows them did not answer as it should.',
    registers: this.#registers,
  });

  readonly observeCall = (rpc: string, code: string, reason: string | undefined, seconds: number): void => {
    this.#calls.labels(rpc, code).observe(seconds);
    if (reason !== undefined) this.#failures.labels(rpc, reason).inc();
  };

  /** Something that is measured when the metrics are read. `aggregator`: what several processes make of it together. */
  gauge(name: string, help: string, read: () => number | Promise<number>, aggregator: Aggregator = 'sum'): void {
    new Gauge({
      name,
      help,
      aggregator,
      registers: this.#registers,
      async collect() {
        this.set(await read());
      },
    });
  }

  /** Memory, CPU, event loop: measuring that costs something, so only where somebody reads it. */
  watchProcess(): void {
    collectDefaultMetrics({ register: this.#registry });
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** In the text format of Prometheus. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  snapshot(): Promise<Snapshot> {
    return this.#registry.getMetricsAsJSON();
  }
}
