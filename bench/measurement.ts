/** What one burst has shown of a contestant. */
export interface Sample {
  readonly perSecond: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
  /** Processor time in microseconds a request: of the server, and of the load generator. */
  readonly serverCpu?: number;
  readonly clientCpu?: number;
  /** Resident memory of the server after the burst, in MB. */
  readonly rss?: number;
}

/** A contestant after all rounds. */
export interface Measurement {
  readonly name: string;
  readonly samples: readonly Sample[];
  /** Why it dropped out. */
  readonly failure?: string;
}

export type Metric = keyof Sample;

/** The values of all rounds. */
export function valuesOf({ samples }: Measurement, metric: Metric): number[] {
  return samples.map((sample) => sample[metric]).filter((value) => value !== undefined);
}
