import { type Measurement, type Metric, valuesOf } from './measurement.ts';
import { median, ratios, type Spread, spread } from './statistics.ts';

export interface Limit {
  readonly kind: 'at least' | 'at most';
  readonly value: number;
  /** `×` for ratios. */
  readonly unit: string;
}

/** What was promised, and what was measured. */
export interface Goal {
  readonly name: string;
  readonly limit: Limit;
  /** Absent where a contestant dropped out. */
  readonly measured: Spread | undefined;
  readonly met: boolean;
  readonly note: string;
}

export const atLeast = (value: number, unit = '×'): Limit => ({ kind: 'at least', value, unit });
export const atMost = (value: number, unit = '×'): Limit => ({ kind: 'at most', value, unit });

/** The median decides. */
export function goal(name: string, limit: Limit, values: readonly number[], note = ''): Goal {
  if (values.length === 0) return { name, limit, measured: undefined, met: false, note };
  const middle = median(values);
  const met = limit.kind === 'at least' ? middle >= limit.value : middle <= limit.value;
  return { name, limit, measured: spread(values), met, note };
}

/** How one contestant compares with another, round by round. */
export function ratioGoal(name: string, limit: Limit, metric: Metric, numerator: Measurement, denominator: Measurement): Goal {
  const failure = numerator.failure ?? denominator.failure;
  if (failure !== undefined) return goal(name, limit, [], 'a contestant failed');
  return goal(name, limit, ratios(valuesOf(numerator, metric), valuesOf(denominator, metric)));
}

/** By what factor a goal is met; below 1 it is missed. */
export function marginOf({ limit }: Goal, value: number): number {
  return limit.kind === 'at least' ? value / limit.value : limit.value / value;
}
