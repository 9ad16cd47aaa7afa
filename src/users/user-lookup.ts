import type { UserView } from './user-view.ts';

/** Queries under way at a time. Two keep the database busy while answers are dealt with; what comes meanwhile shares the next one. */
const MAX_QUERIES = 2;
const MAX_IDS = 500;

/** Answers in the order of the ids. */
type FindUserViews = (ids: readonly string[]) => Promise<(UserView | undefined)[]>;

interface Waiting {
  resolve(user: UserView | undefined): void;
  reject(error: unknown): void;
}

/**
 * Looks users up by id, those that are asked for at the same time in one query. A query begins after everybody has asked whom it answers, so
 * each of them sees what was committed before.
 */
export class UserLookup {
  readonly #find: FindUserViews;
  #waiting = new Map<string, Waiting[]>();
  #queries = 0;

  constructor(find: FindUserViews) {
    this.#find = find;
  }

  get(id: string): Promise<UserView | undefined> {
    return new Promise((resolve, reject) => {
      const others = this.#waiting.get(id);
      if (others) others.push({ resolve, reject });
      else this.#waiting.set(id, [{ resolve, reject }]);
      if (this.#waiting.size === 1 && !others) setImmediate(() => this.#next());
    });
  }

  /** Many at once, in the order of their ids; they are a query of their own. */
  getAll(ids: readonly string[]): Promise<(UserView | undefined)[]> {
    return this.#find(ids);
  }

  #next(): void {
    if (this.#queries === MAX_QUERIES || this.#waiting.size === 0) return;
    const batch = this.#takeBatch();
    this.#queries++;
    this.getAll([...batch.keys()])
      .then(
        (users) => {
          let index = 0;
          for (const waiting of batch.values()) {
            const user = users[index++];
            for (const { resolve } of waiting) resolve(user);
          }
        },
        (error: unknown) => {
          for (const waiting of batch.values()) for (const { reject } of waiting) reject(error);
        },
      )
      .finally(() => {
        this.#queries--;
        this.#next();
      });
    this.#next();
  }

  #takeBatch(): Map<string, Waiting[]> {
    const batch = new Map([...this.#waiting].slice(0, MAX_IDS));
    for (const id of batch.keys()) this.#waiting.delete(id);
    return batch;
  }
}
