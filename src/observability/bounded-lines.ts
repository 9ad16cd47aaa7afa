/** The time in which the lines of one kind are bounded. */
const WINDOW_MS = 10_000;

/** The lines of one kind in its window. */
interface Window {
  written: number;
  leftOut: number;
}

/**
 * Bounds how many lines of one kind are written in a while: a fault that fails every call must not fill a disk, nor a guesser the log. The
 * lines left out are told as a number, once the while is over.
 */
export class BoundedLines<Kind extends string> {
  readonly #tell: (kind: Kind, leftOut: number) => void;
  readonly #windows = new Map<Kind, Window>();

  constructor(tell: (kind: Kind, leftOut: number) => void) {
    this.#tell = tell;
  }

  /** Tells whether one more line of a kind may be written, of which there are at most `max` in a while. */
  admits(kind: Kind, max: number): boolean {
    const window = this.#windows.get(kind) ?? this.#open(kind);
    if (window.written < max) {
      window.written += 1;
      return true;
    }
    window.leftOut += 1;
    return false;
  }

  #open(kind: Kind): Window {
    const window = { written: 0, leftOut: 0 };
    this.#windows.set(kind, window);
    setTimeout(() => {
      this.#windows.delete(kind);
      if (window.leftOut > 0) this.#tell(kind, window.leftOut);
    }, WINDOW_MS).unref();
    return window;
  }
}
