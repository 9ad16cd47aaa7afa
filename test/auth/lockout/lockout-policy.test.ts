import { describe, expect, it } from 'vitest';
import { lockEnd, secondsToWait } from '../../../src/auth/lockout/lockout-policy.ts';

const policy = { maxAttempts: 5, duration: 1800 };
const now = new Date('2026-03-01T12:00:00.000Z');
const later = (ms: number) => new Date(now.getTime() + ms);

describe('lockout policy', () => {
  it('ends a lock after its duration', () => {
    expect(lockEnd(now, policy)).toEqual(new Date('2026-03-01T12:30:00.000Z'));
  });

  const waiting = (lockedUntil: Date | null, consecutiveFailures = 5) => secondsToWait({ lockedUntil, consecutiveFailures }, now, policy);

  it('tells to wait until the lock has ended for sure', () => {
    expect(waiting(later(1000))).toBe(1);
    expect(waiting(later(1001))).toBe(2);
    expect(waiting(later(1))).toBe(1);
    expect(waiting(later(1_800_000))).toBe(1800);
  });

  it('tells to wait for a second where there is no lock, and attempts are in flight', () => {
    expect(waiting(null)).toBe(1);
    expect(waiting(now)).toBe(1);
  });

  it('tells the duration of a lock after 100 failures in a row, whatever is left of one', () => {
    expect(waiting(later(1000), 100)).toBe(1800);
    expect(waiting(null, 100)).toBe(1800);
    expect(waiting(null, 99)).toBe(1);
  });
});
