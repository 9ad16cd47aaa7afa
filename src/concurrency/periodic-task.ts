/**
 * Does a piece of work again and again, until it is stopped. A round begins once every `everyMs` or, if the work takes
 * longer than that, as soon as it is done. A failure is told to `onError` and does not end it. The function that is
 * returned stops it, and resolves when the work under way is done: work that goes on for long looks at the signal.
 */
export function runPeriodically(
  work: (stopping: AbortSignal) => Promise<unknown>,
  everyMs: number,
  onError: (error: unknown) => void,
): () => Promise<void> {
  const stopping = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  let current: Promise<void> = Promise.resolve();
  const round = async () => {
    const begunAt = performance.now();
    await work(stopping.signal).catch(onError);
    const left = Math.max(0, everyMs - (performance.now() - begunAt));
    if (!stopping.signal.aborted) timer = setTimeout(next, left).unref();
  };
  const next = () => {
    current = round();
  };
  next();
  return () => {
    stopping.abort();
    clearTimeout(timer);
    return current;
  };
}
