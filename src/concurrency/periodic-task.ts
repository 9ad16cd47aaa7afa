/**
 * Does a piece of work again and again, begun once every `everyMs` or, where it takes longer than that, as soon as it is done, until it is
 * stopped; a failure is told to `onError` and does not end it.
 * What comes back stops it, and resolves when the work under way is done: work that goes on for long looks at the signal.
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
