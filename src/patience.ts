import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Waits for something to end, but no longer than so many milliseconds; returns whether it has ended. What does not end by itself ends with the
 * process, and must not keep what comes after it from ending in order.
 */
export async function endsWithin(ms: number, ending: Promise<unknown>): Promise<boolean> {
  const over = new AbortController();
  const patience = sleep(ms, false, { signal: over.signal }).catch(() => false);
  try {
    return await Promise.race([ending.then(() => true), patience]);
  } finally {
    over.abort();
  }
}
