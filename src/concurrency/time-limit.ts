import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Waits for something to end, but no longer than so many milliseconds; returns whether it has ended. A thing that does
 * not end by itself ends with the process, and must not keep the things that come after it from ending in order.
 */
export async function endsWithin(ms: number, ending: Promise<unknown>): Promise<boolean> {
  const over = new AbortController();
  const limit = sleep(ms, false, { signal: over.signal }).catch(() => false);
  try {
    return await Promise.race([ending.then(() => true), limit]);
  } finally {
    over.abort();
  }
}

interface Warn {
  warn(message: string, fields: object): void;
}

/** Names in the log what has not ended in time. */
export async function tellUnlessEnded(log: Warn, what: string, ended: Promise<boolean>): Promise<void> {
  if (!(await ended)) log.warn('did not end in time', { what });
}
