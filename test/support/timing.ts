type Call = () => Promise<unknown>;

/** The share of its time by which a call may differ from the first one. */
const TOLERANCE = 0.1;
/** Of a fair coin: by chance, one comparison of 30,000 goes beyond. */
const STANDARD_DEVIATIONS = 4;

/**
 * Calls that somebody could tell from the first one by their time: in so many rounds that it is not by chance, they take more than a tenth
 * longer, or less than nine tenths of its time. A busy machine makes rounds of any kind, but meets all calls alike.
 */
export async function toldApartByTime(calls: Readonly<Record<string, Call>>, rounds: number): Promise<string[]> {
  const [reference = [], ...others] = await measure(Object.values(calls), rounds);
  const most = rounds / 2 + (STANDARD_DEVIATIONS * Math.sqrt(rounds)) / 2;
  return others.flatMap((times, index) => {
    const ratios = times.map((time, round) => time / (reference[round] as number));
    const slower = ratios.filter((ratio) => ratio > 1 + TOLERANCE).length;
    const quicker = ratios.filter((ratio) => ratio < 1 - TOLERANCE).length;
    return slower > most || quicker > most
      ? `${Object.keys(calls)[index + 1]}: slower ${slower}, quicker ${quicker} of ${rounds} times`
      : [];
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
