import { describe, expect, it } from 'vitest';
import { atLeast, atMost, goal, marginOf, ratioGoal } from '../../bench/goal.ts';
import type { Measurement } from '../../bench/measurement.ts';

function measurement(perSecond: number[], failure?: string): Measurement {
  return { name: 'any', samples: perSecond.map((value) => ({ perSecond: value, p50: 1, p99: 1 })), ...(failure && { failure }) };
}

describe('a goal of the bench', () => {
  it('is met at its limit, by the median', () => {
    expect(goal('any', atLeast(2), [1, 2, 9])).toMatchObject({ met: true, measured: { median: 2, min: 1, max: 9 } });
    expect(goal('any', atMost(2), [1, 2, 9]).met).toBe(true);
    expect(goal('any', atMost(2), [1, 2.1, 9]).met).toBe(false);
  });

  it('compares round by round', () => {
    expect(ratioGoal('any', atLeast(1), 'perSecond', measurement([10, 40]), measurement([20, 20]))).toMatchObject({
      measured: { median: 1.25, min: 0.5, max: 2 },
    });
  });

  it('is missed where a contestant failed', () => {
    expect(ratioGoal('any', atMost(1), 'perSecond', measurement([1]), measurement([1], 'grpc-status 14'))).toMatchObject({
      met: false,
      measured: undefined,
    });
  });

  it('tells by what factor it is met or missed', () => {
    expect(marginOf(goal('any', atLeast(2), [1]), 1)).toBe(0.5);
    expect(marginOf(goal('any', atMost(2), [1]), 1)).toBe(2);
  });
});
