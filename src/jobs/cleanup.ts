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

/** Is told of a step that has failed; what it throws ends the round. */
type OnFailure = (step: string, error: unknown) => void;

const rethrow: OnFailure = (_step, error) => {
  throw error;
};

/** Runs the steps now, each by itself and batch by batch, until nothing is left to do. Returns how many rows each of them has deleted. */
export async function runCleanup(
  em: EntityManager,
  now: Date,
  steps: readonly CleanupStep[],
  onFailure: OnFailure = rethrow,
): Promise<Record<string, number>> {
  const done: Record<string, number> = {};
  for (const { name, run } of steps) {
    try {
      let deleted: number;
      do {
        deleted = await run(em.fork(), now, BATCH);
        done[name] = (done[name] ?? 0) + deleted;
      } while (deleted === BATCH);
    } catch (error) {
      onFailure(name, error);
    }
  }
  return done;
}

export interface CleanupResources {
  readonly em: EntityManager;
  readonly now: () => Date;
  readonly log: Log;
}

function codeOf(error: unknown): { readonly error: string } {
  const { code, name } = Object(error) as { readonly code?: unknown; readonly name?: unknown };
  return { error: String(code ?? name) };
}

/** Runs the steps every hour. Several replicas may do so at once: they find less to do. Returns what stops it. */
export function startCleanup({ em, now, log }: CleanupResources, steps: readonly CleanupStep[]): () => void {
  let stopped = false;
  let timer: NodeJS.Timeout;
  // The next round finds the same rows. The message of the driver may hold data, its code does not.
  const failed: OnFailure = (step, error) => log.warn('a step of housekeeping failed', { step, ...codeOf(error) });
  const tick = async () => {
    log.info('housekeeping', await runCleanup(em, now(), steps, failed));
    if (!stopped) timer = setTimeout(tick, INTERVAL_MS).unref();
  };
  timer = setTimeout(tick, FIRST_MS).unref();
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}
