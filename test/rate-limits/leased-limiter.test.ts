import { type RateLimiterAbstract, RateLimiterRes } from 'rate-limiter-flexible';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { LeasedLimiter } from '../../src/rate-limits/leased-limiter.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['Date'] }));
afterEach(() => void vi.useRealTimers());

describe('a lease of calls', () => {
  it('ends with its window, whatever is left of it', async () => {
    const consume = vi.fn(async () => new RateLimiterRes(0, 60_000));
    const limiter = new LeasedLimiter({ consume } as unknown as RateLimiterAbstract, 500);
    await limiter.consume('somebody');
    expect(limiter.tryConsume('somebody')).toBe(true);
    vi.advanceTimersByTime(59_999);
    expect(limiter.tryConsume('somebody')).toBe(true);
    vi.advanceTimersByTime(1);
    expect(limiter.tryConsume('somebody')).toBe(false);
    await limiter.consume('somebody');
    expect(consume.mock.calls).toEqual([
      ['somebody', 10],
      ['somebody', 10],
    ]);
  });

  it('is spent before another one is taken', async () => {
    const consume = vi.fn(async () => new RateLimiterRes(0, 60_000));
    const limiter = new LeasedLimiter({ consume } as unknown as RateLimiterAbstract, 150);
    for (let call = 1; call <= 3; call++) await limiter.consume('somebody');
    expect(consume).toHaveBeenCalledTimes(1);
    await limiter.consume('somebody');
    expect(consume).toHaveBeenCalledTimes(2);
    await limiter.consume('somebody else');
    expect(consume).toHaveBeenCalledTimes(3);
  });
});
