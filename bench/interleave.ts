import type { Measurement, Sample } from './measurement.ts';

/** Something whose speed is measured in bursts. */
export interface Contestant {
  readonly name: string;
  burst(seconds: number): Promise<Sample>;
  /** Bursts and warm-up are so many times as long, for what has few requests a second. */
  readonly stretch?: number;
  /** What it runs is warm already when its turn comes. */
  readonly warm?: boolean;
}

export interface Rounds {
  readonly rounds: number;
  readonly seconds: number;
  /** How many seconds each is warmed up; code is compiled while it runs. */
  readonly warmUp: number;
  /** A time of `performance.now`; from then on no other round begins. The first one always does. */
  readonly until?: number;
}

/**
 * Measures contestants in turn, burst by burst, so that whatever slows the machine down for a while slows down all of them. Every other
 * round goes backwards: nobody always comes after the same one.
 */
export async function interleave(
  contestants: readonly Contestant[],
  { rounds, seconds, warmUp, until = Number.POSITIVE_INFINITY }: Rounds,
  report: (what: string) => void,
): Promise<Measurement[]> {
  const samples = new Map(contestants.map(({ name }) => [name, [] as Sample[]]));
  const failures = new Map<string, string>();
  const run = async (contestant: Contestant, length: number): Promise<Sample | undefined> => {
    if (failures.has(contestant.name)) return undefined;
    try {
      return await contestant.burst(length);
    } catch (error) {
      failures.set(contestant.name, error instanceof Error ? error.message : String(error));
      return undefined;
    }
  };
  for (const contestant of contestants.filter(({ warm }) => !warm)) {
    report(`warming up ${contestant.name}`);
    await run(contestant, warmUp * (contestant.stretch ?? 1));
  }
  for (let round = 0; round < rounds && (round === 0 || performance.now() < until); round++) {
    for (const contestant of round % 2 === 0 ? contestants : contestants.toReversed()) {
      report(`round ${round + 1} of ${rounds}: ${contestant.name}`);
      const sample = await run(contestant, seconds * (contestant.stretch ?? 1));
      if (sample) samples.get(contestant.name)?.push(sample);
    }
  }
  return contestants.map(({ name }) => {
    const failure = failures.get(name);
    return { name, samples: samples.get(name) ?? [], ...(failure === undefined ? {} : { failure }) };
  });
}
