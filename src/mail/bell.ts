/** Work that was left undone, by another replica or by a look that failed, is found after at most this long. */
const LOOK_ANYWAY_MS = 2000;

/** Spares looks at a database in which nothing has changed: somebody rings where there may be something to do. */
export class Bell {
  readonly #pauseMs: number;
  #rung = true;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #answeredAt = Number.NEGATIVE_INFINITY;

  /** Between two answers there are at least so many milliseconds, in which more can come together. */
  constructor(pauseMs = 0) {
    this.#pauseMs = pauseMs;
  }

  ring(): void {
    this.#rung = true;
  }

  /** Looks if somebody has rung, and now and then anyway: also where the look before has failed. */
  async answer(look: () => Promise<void>): Promise<void> {
    const now = performance.now();
    if (this.#rung ? now - this.#answeredAt < this.#pauseMs : now - this.#lookedAt < LOOK_ANYWAY_MS) return;
    if (this.#rung) this.#answeredAt = now;
    this.#rung = false;
    this.#lookedAt = now;
    await look();
  }
}
