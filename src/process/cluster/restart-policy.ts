/** Whoever has served for so long has not failed because of how it began. */
const STEADY_MS = 60_000;

const FIRST_DELAY_MS = 250;
const LONGEST_DELAY_MS = 30_000;

/** How often in a row a worker has ended early, with this time. */
export function earlyEnds(livedMs: number, before: number): number {
  return livedMs >= STEADY_MS ? 0 : before + 1;
}

/** How long to wait before it is replaced: not at all the first time in a while, longer and longer where it ends again and again. */
export function restartDelayMs(earlyEnds: number): number {
  return earlyEnds === 0 ? 0 : Math.min(FIRST_DELAY_MS * 2 ** (earlyEnds - 1), LONGEST_DELAY_MS);
}
