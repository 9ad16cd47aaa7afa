/** A worker that has served for so long has not failed because of how it began. */
const STEADY_MS = 60_000;

const FIRST_DELAY_MS = 250;
const LONGEST_DELAY_MS = 30_000;

/** The number of times in a row that a worker has ended early, this one included. */
export function earlyEnds(livedMs: number, before: number): number {
  return livedMs >= STEADY_MS ? 0 : before + 1;
}

/**
 * The time to wait before a worker is replaced: none the first time in a while, longer and longer if it ends again and
 * again.
 */
export function restartDelayMs(earlyEnds: number): number {
  return earlyEnds === 0 ? 0 : Math.min(FIRST_DELAY_MS * 2 ** (earlyEnds - 1), LONGEST_DELAY_MS);
}
