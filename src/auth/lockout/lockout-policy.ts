/** The number of wrong passwords that lock an account, and the time for which they do (ASVS 6.3.1). */
export interface LockoutPolicy {
  readonly maxAttempts: number;
  /** Seconds. */
  readonly duration: number;
}

export function lockEnd(now: Date, { duration }: LockoutPolicy): Date {
  return new Date(now.getTime() + duration * 1000);
}

export function isLocked(lockedUntil: Date | null, now: Date): lockedUntil is Date {
  return lockedUntil !== null && lockedUntil > now;
}

/** Seconds until the lock ends: the whole duration where a concurrent attempt has set it just now. */
export function secondsUntilUnlocked(lockedUntil: Date | null, now: Date, { duration }: LockoutPolicy): number {
  if (!isLocked(lockedUntil, now)) return duration;
  return Math.ceil((lockedUntil.getTime() - now.getTime()) / 1000);
}
