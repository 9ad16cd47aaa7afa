type Call = () => Promise<unknown>;

/** The share of the time by which a call may differ from the first one. */
const TOLERANCE = 0.1;
/** Of a fair coin: by chance, one comparison of 16,000 goes beyond. */
const STANDARD_DEVIATIONS = 4;

/**
 * Calls that somebody could tell from the first one by their time: their median differs from its median by a tenth or more, and they are
 * the slower or the quicker one in so many rounds that it is not by chance. A busy machine shifts medians, but meets all calls alike.
 */
export async function toldApartByTime(calls: Readonly<Record<string, Call>>, rounds: number): Promise<string[]> {
  const times = await measure(Object.values(calls), rounds);
  const [reference = [], ...others] = times;
  return others.flatMap((other, index) => {
    const ratio = median(other) / median(reference);
    const slower = other.filter((time, round) => time > (reference[round] ?? 0)).length;
    const isChance = Math.abs(slower - rounds / 2) <= (STANDARD_DEVIATIONS * Math.sqrt(rounds)) / 2;
    if (Math.abs(ratio - 1) < TOLERANCE || isChance) return [];
    return `${Object.keys(calls)[index + 1]}: ${(ratio * 100).toFixed(0)} % of the time, slower in ${slower} of ${rounds} rounds`;
  });
}

/** Of each call, how long it takes in each round. The order within a round is one of chance, so that none always follows the same one. */
async function measure(calls: readonly Call[], rounds: number): Promise<number[][]> {
  const times: number[][] = calls.map(() => []);
  for (let round = 0; round < rounds; round++) {
    for (const index of shuffled([...calls.keys()])) times[index]?.push(await timeOf(calls[index] as Call));
  }
  return times;
}

async function timeOf(call: Call): Promise<number> {
  const begin = performance.now();
  await call();
  return performance.now() - begin;
}

function shuffled<T>(items: readonly T[]): T[] {
  return items
    .map((item) => ({ item, at: Math.random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item);
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
}
