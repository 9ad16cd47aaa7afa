/** A promise only where something has to be waited for: what is known at once is answered at once. */
export type Awaitable<T> = T | Promise<T>;

/** Goes on with what was waited for, or at once. */
export function when<T, R>(value: Awaitable<T>, next: (value: T) => Awaitable<R>): Awaitable<R> {
  return value instanceof Promise ? value.then(next) : next(value);
}

/** Tells `failed` where it throws, now or later, and throws on. */
export function attempt<T>(run: () => Awaitable<T>, failed: (error: unknown) => void): Awaitable<T> {
  const tell = (error: unknown): never => {
    failed(error);
    throw error;
  };
  try {
    const result = run();
    return result instanceof Promise ? result.catch(tell) : result;
  } catch (error) {
    return tell(error);
  }
}
