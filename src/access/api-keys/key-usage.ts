import type { EntityManager } from '@mikro-orm/postgresql';
import { WriteBehind } from '../../concurrency/write-behind.ts';
import { noteLastUse } from './api-key.repository.ts';

const INTERVAL_MS = 30_000;

/**
 * The times at which keys were last used. A key is used on every call, so they are gathered in memory and written
 * together.
 */
export class KeyUsage {
  readonly #writes: WriteBehind<Date>;

  constructor(em: EntityManager) {
    this.#writes = new WriteBehind(INTERVAL_MS, (pending) => noteLastUse(em.fork(), pending));
  }

  note(keyId: string, now: Date): void {
    this.#writes.add(keyId, now);
  }

  flush(): Promise<void> {
    return this.#writes.flush();
  }

  stop(): Promise<void> {
    return this.#writes.stop();
  }
}
