import type { EntityManager } from '@mikro-orm/postgresql';
import { deleteMails } from './mail.repository.ts';

/** Deletes mails that were sent: the first at once, and those that are sent while it does so together. */
export class SentMails {
  readonly #em: EntityManager;
  #waiting: string[] = [];
  #next: Promise<void> | undefined;
  #current: Promise<unknown> = Promise.resolve();

  constructor(em: EntityManager) {
    this.#em = em;
  }

  /** Resolves when it is committed. */
  delete(id: string): Promise<void> {
    this.#waiting.push(id);
    this.#next ??= this.#current.then(() => this.#deleteWaiting());
    return this.#next;
  }

  #deleteWaiting(): Promise<void> {
    const deleted = deleteMails(this.#em, this.#waiting);
    this.#waiting = [];
    this.#next = undefined;
    // A failure is told to those who wait for it, not to those who come after them.
    this.#current = deleted.catch(() => undefined);
    return deleted;
  }
}
