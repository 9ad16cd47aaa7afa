import type { ServerCall } from './open-call.ts';

/** The end of the work for a call: the caller cancels, or its deadline passes, or ours (if there is one) where it has none. */
export class CallEnd {
  readonly #whenAnswered: (() => void) | undefined;
  readonly #deadline: number;
  readonly #timer: NodeJS.Timeout | undefined;
  #ended: boolean;
  #answered = false;
  #oursPassed = false;
  /** Made when somebody asks: many calls are answered before anybody does. */
  #abort: AbortController | undefined;

  /** `whenAnswered` is called when an answer has left. */
  constructor(grpcCall: ServerCall, defaultDeadlineMs?: number, whenAnswered?: () => void) {
    this.#whenAnswered = whenAnswered;
    this.#deadline = Number(grpcCall.getDeadline());
    this.#ended = grpcCall.cancelled;
    grpcCall.on('cancelled', this.#end);
    if (defaultDeadlineMs !== undefined && !Number.isFinite(this.#deadline)) {
      this.#timer = setTimeout(() => {
        this.#oursPassed = true;
        this.#end();
      }, defaultDeadlineMs);
    }
  }

  get signal(): AbortSignal {
    if (!this.#abort) {
      this.#abort = new AbortController();
      if (this.#ended) this.#abort.abort();
    }
    return this.#abort.signal;
  }

  /** Ours is asked of its timer: that may go off a moment before the clock on the wall gets there. */
  deadlinePassed(): boolean {
    return this.#oursPassed || this.#deadline <= Date.now();
  }

  /** grpc-js emits `cancelled` after a normal answer, too: disarm first, or the answer would abort itself. */
  disarm(): void {
    clearTimeout(this.#timer);
    this.#answered = true;
  }

  readonly #end = (): void => {
    this.#ended = true;
    if (this.#answered) this.#whenAnswered?.();
    else this.#abort?.abort();
  };
}
