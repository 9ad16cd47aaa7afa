/**
 * Gathers what happens all the time and writes it together, the latest under each key. If the database is away, it is lost: this is for what
 * is no more than a hint.
 */
export class WriteBehind<V> {
  readonly #write: (pending: ReadonlyMap<string, V>) => Promise<void>;
  readonly #timer: NodeJS.Timeout;
  #pending = new Map<string, V>();

  constructor(intervalMs: number, write: (pending: ReadonlyMap<string, V>) => Promise<void>) {
    this.#write = write;
    this.#timer = setInterval(() => void this.flush(), intervalMs).unref();
  }

  add(key: string, value: V): void {
    this.#pending.set(key, value);
  }

  async flush(): Promise<void> {
    const pending = this.#pending;
    this.#pending = new Map();
    if (pending.size > 0) await this.#write(pending).catch(() => undefined);
  }

  /** Writes what is left. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.flush();
  }
}
