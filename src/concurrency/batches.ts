export interface BatchLimits {
  readonly size: number;
  /** The pause after which the items that have arrived so far are a batch. */
  readonly idleMs: number;
  /** The time after which they are a batch even without a pause, counted from the first of them. */
  readonly waitMs: number;
}

type Next<T> = { readonly item: T } | { readonly end: true; readonly error?: unknown };

/**
 * Cuts a stream into batches that are as large as they can be without keeping a slow sender waiting. If the stream
 * fails, the items before the failure are still a batch.
 */
export async function* inBatches<T>(items: AsyncIterable<T>, limits: BatchLimits): AsyncGenerator<T[], void> {
  const iterator = items[Symbol.asyncIterator]();
  // Never rejects: nobody may be listening when the stream breaks off, and that must not end the process.
  const ask = (): Promise<Next<T>> =>
    iterator.next().then(
      ({ done, value }) => (done ? { end: true } : { item: value }),
      (error: unknown) => ({ end: true, error }),
    );
  let next = ask();
  for (;;) {
    const batch: T[] = [];
    let got: Next<T> | undefined = await next;
    const deadline = performance.now() + limits.waitMs;
    while (got && 'item' in got) {
      batch.push(got.item);
      next = ask();
      if (batch.length === limits.size) break;
      got = await within(Math.max(0, Math.min(limits.idleMs, deadline - performance.now())), next);
    }
    if (batch.length > 0) yield batch;
    if (got && 'end' in got) {
      if ('error' in got) throw got.error;
      return;
    }
  }
}

/** Undefined where it takes longer. */
async function within<T>(ms: number, promise: Promise<T>): Promise<T | undefined> {
  const { promise: late, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => resolve(undefined), ms);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
