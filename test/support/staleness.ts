/** How long replicas may go by what they remember (ADR 8). */
export const PROMISED_MS = 250;

/** When to give up. */
const PATIENCE_MS = 20_000;

/**
 * Asks on and on until the answer is not as before. Returns the milliseconds from now to the beginning of the last call that was answered as
 * before: whatever began later knew of the change. How long the calls themselves take on a busy machine does not matter.
 */
export async function staleFor(isAsBefore: () => Promise<boolean>): Promise<number> {
  const since = performance.now();
  for (let last = 0; ; ) {
    const begun = performance.now() - since;
    if (!(await isAsBefore())) return last;
    last = begun;
    if (last > PATIENCE_MS) return last;
  }
}
