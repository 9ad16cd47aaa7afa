import { describe, expect, it } from 'vitest';
import { earlyEnds, restartDelayMs } from '../../../src/process/cluster/restart-policy.ts';

describe('restart policy', () => {
  it('replaces a worker that has served for long at once, whatever was before', () => {
    expect(restartDelayMs(earlyEnds(60_000, 9))).toBe(0);
  });

  it('waits longer and longer for one that ends early again and again, but never for more than half a minute', () => {
    const delays: number[] = [];
    let early = 0;
    for (let end = 0; end < 10; end++) {
      early = earlyEnds(59_999, early);
      delays.push(restartDelayMs(early));
    }
    expect(delays).toEqual([250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
  });
});
