import { describe, expect, it } from 'vitest';
import { median, ratios, slope, spread } from '../../bench/statistics.ts';

describe('statistics of the bench', () => {
  it('takes the middle value, or the mean of the two in the middle', () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 2, 3])).toBe(2.5);
    expect(median([7])).toBe(7);
    expect(median([])).toBeNaN();
  });

  it('says how far the rounds lie apart', () => {
    expect(spread([3, 1, 2])).toEqual({ median: 2, min: 1, max: 3 });
  });

  it('compares round by round, as far as both have got', () => {
    expect(ratios([10, 30, 50], [20, 20])).toEqual([0.5, 1.5]);
  });

  it('fits a line', () => {
    expect(
      slope([
        [0, 1],
        [1, 3],
        [2, 5],
      ]),
    ).toBeCloseTo(2);
    expect(
      slope([
        [0, 4],
        [1, 4],
      ]),
    ).toBe(0);
  });
});
