import { setTimeout as sleep } from 'node:timers/promises';
import type { EntityManager } from '@mikro-orm/postgresql';
import { deleteMails } from './mail.repository.ts';

/** A process that dies in between has them sent once more. */
const GATHERED_MS = 20;

/** Deletes mails that were sent, those of a moment together: each deletion has the disk wait for a commit. */
export class SentMails {
  readonly #em: EntityManager;
  #waiting: string[] = [];
  #next: Promise<void> | undefined;

  constructor(em: EntityManager) {
    this.#em = em;
  }

  /** Resolves when it is committed. */
  delete(id: string): Promise<void> {
    this.#waiting.push(id);
    this.#next ??= sleep(GATHERED_MS).then(() => this.#deleteWaiting());
    return this.#next;
  }

  #deleteWaiting(): Promise<void> {
    const ids = this.#waiting;
    this.#waiting = [];
    this.#next = undefined;
    return deleteMails(this.#em, ids);
  }
}
