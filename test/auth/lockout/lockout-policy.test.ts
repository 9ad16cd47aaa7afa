import { describe, expect, it } from 'vitest';
import { lockEnd, secondsUntilUnlocked } from '../../../src/auth/lockout/lockout-policy.ts';

const policy = { maxAttempts: 5, duration: 1800 };
const now = new Date('2026-03-01T12:00:00.000Z');
const later = (ms: number) => new Date(now.getTime() + ms);

describe('lockout policy', () => {
  it('ends a lock after its duration', () => {
    expect(lockEnd(now, policy)).toEqual(new Date('2026-03-01T12:30:00.000Z'));
  });

  it('tells to wait until the lock has ended for sure', () => {
    expect(secondsUntilUnlocked(later(1000), now, policy)).toBe(1);
    expect(secondsUntilUnlocked(later(1001), now, policy)).toBe(2);
    expect(secondsUntilUnlocked(later(1), now, policy)).toBe(1);
    expect(secondsUntilUnlocked(later(1_800_000), now, policy)).toBe(1800);
  });

  it('tells to wait for the whole duration where the lock has been set only just now', () => {
    expect(secondsUntilUnlocked(null, now, policy)).toBe(1800);
    expect(secondsUntilUnlocked(now, now, policy)).toBe(1800);
  });
});
