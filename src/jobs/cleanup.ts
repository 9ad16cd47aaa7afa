import type { EntityManager } from '@mikro-orm/postgresql';
import type { Log } from '../observability/log.ts';

/**
 * The number of rows that one statement deletes: few enough to hold no lock for long and to end well before a query
 * times out.
 */
export const BATCH = 1000;

const INTERVAL_MS = 60 * 60 * 1000;
const FIRST_MS = 60 * 1000;

/** Something that piles up, and is cleared away. Every feature declares its own; app/ adds them up. */
export interface CleanupStep {
  readonly name: string;
  /** Deletes up to `limit` rows that nobody needs any more; returns how many. */
  run(em: EntityManager, now: Date, limit: number): Promise<number>;
}

/** Runs the steps now, batch by batch, until nothing is left to do. */
export async function runCleanup(em: EntityManager, now: Date, steps: readonly CleanupStep[]): Promise<Record<string, number>> {
  const done: Record<string, number> = {};
  for (const { name, run } of steps) {
    let deleted: number;
    do {
      deleted = await run(em.fork(), now, BATCH);
      done[name] = (done[name] ?? 0) + deleted;
    } while (deleted === BATCH);
  }
  return done;
}

export interface CleanupResources {
  readonly em: EntityManager;
  readonly now: () => Date;
  readonly log: Log;
}

/** Runs the steps every hour. Several replicas may do so at once: they find less to do. Returns what stops it. */
export function startCleanup({ em, now, log }: CleanupResources, steps: readonly CleanupStep[]): () => void {
  let stopped = false;
  let timer: NodeJS.Timeout;
  const tick = async () => {
    try {
      log.info('housekeeping', await runCleanup(em, now(), steps));
    } catch {
      // The database is away or busy; the next round finds the same rows.
      log.warn('housekeeping failed');
    }
    if (!stopped) timer = setTimeout(tick, INTERVAL_MS).unref();
  };
  timer = setTimeout(tick, FIRST_MS).unref();
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}
