import type { FirstKey } from '../access/first-key.ts';
import type { loadConfig } from '../config.ts';

export type Environment = Parameters<typeof loadConfig>[0];

/**
 * The shutdown of the process: somebody begins it, and `signal` is aborted. It has to be over in ten seconds (main.ts).
 */
export interface Ending {
  readonly signal: AbortSignal;
  readonly begin: () => void;
}

/** The result of a start. */
export interface Started {
  readonly port: number;
  /** The administrator's key of the embedded database. */
  readonly firstKey: FirstKey | undefined;
  /** Rejects where serving cannot go on. */
  readonly failure?: Promise<never>;
}
