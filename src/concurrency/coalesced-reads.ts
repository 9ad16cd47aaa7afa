/** Queries under way at a time. Two keep the database busy while answers are dealt with; what comes meanwhile shares the next one. */
const MAX_QUERIES = 2;
const MAX_IDS = 500;

/** Finds what there is, by its id. */
export type FindAll<T> = (ids: readonly string[]) => Promise<ReadonlyMap<string, T>>;

interface Waiting<T> {
  resolve(found: T | undefined): void;
  reject(error: unknown): void;
}

/**
 * Looks things up by id, those that are asked for at the same time in one query. A query begins after everybody has asked whom it answers, so
 * each of them sees what was committed before.
 */
export class CoalescedReads<T> {
  readonly #find: FindAll<T>;
  #waiting = new Map<string, Waiting<T>[]>();
  #queries = 0;

  constructor(find: FindAll<T>) {
    this.#find = find;
  }

  get(id: string): Promise<T | undefined> {
    return new Promise((resolve, reject) => {
      const others = this.#waiting.get(id);
      if (others) others.push({ resolve, reject });
      else this.#waiting.set(id, [{ resolve, reject }]);
      if (this.#waiting.size === 1 && !others) setImmediate(() => this.#next());
    });
  }

  /** Many at once; they are a query of their own. */
  getAll(ids: readonly string[]): ReturnType<FindAll<T>> {
    return this.#find(ids);
  }

  #next(): void {
    if (this.#queries === MAX_QUERIES || this.#waiting.size === 0) return;
    const batch = this.#takeBatch();
    this.#queries++;
    this.#find([...batch.keys()])
      .then(
        (found) => {
          for (const [id, waiting] of batch) for (const { resolve } of waiting) resolve(found.get(id));
        },
        (error: unknown) => {
          // A database that is away fails late: who has waited behind this query must not wait for another one.
          for (const { reject } of [...batch.values(), ...this.#waiting.values()].flat()) reject(error);
          this.#waiting.clear();
        },
      )
      .finally(() => {
        this.#queries--;
        this.#next();
      });
    this.#next();
  }

  #takeBatch(): Map<string, Waiting<T>[]> {
    const batch = new Map([...this.#waiting].slice(0, MAX_IDS));
    for (const id of batch.keys()) this.#waiting.delete(id);
    return batch;
  }
}
