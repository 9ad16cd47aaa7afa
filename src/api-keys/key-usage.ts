import type { EntityManager } from '@mikro-orm/postgresql';
import { noteLastUse } from './api-key.repository.ts';

const INTERVAL_MS = 30_000;

/** When keys were last used: gathered in memory and written together, because a key is used on every call. */
export class KeyUsage {
  readonly #em: EntityManager;
  #pending = new Map<string, Date>();
  #timer: NodeJS.Timeout;

  constructor(em: EntityManager) {
    this.#em = em;
    this.#timer = setInterval(() => void this.flush(), INTERVAL_MS).unref();
  }

  note(keyId: string, now: Date): void {
    this.#pending.set(keyId, now);
  }

  /** Writes what has gathered. If the database is away, that is lost: it is no more than a hint. */
  async flush(): Promise<void> {
    const pending = this.#pending;
    this.#pending = new Map();
    if (pending.size > 0) await noteLastUse(this.#em.fork(), pending).catch(() => undefined);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.flush();
  }
}
