import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from './rpc/log.ts';

/**
 * Waits for something to end, but no longer than so many milliseconds: what does not end by itself ends with the process, and must not keep
 * what comes after it from ending in order. The log names what it was.
 */
export async function endWithin(ms: number, what: string, ending: Promise<unknown>, log: Log): Promise<void> {
  const over = new AbortController();
  const patience = sleep(ms, 'impatient' as const, { signal: over.signal }).catch(() => undefined);
  try {
    if ((await Promise.race([ending, patience])) === 'impatient') log.warn('did not end in time', { what });
  } finally {
    over.abort();
  }
}
