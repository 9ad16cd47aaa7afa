/** The number of wrong passwords that lock an account, and the time for which they do (ASVS 6.3.1). */
export interface LockoutPolicy {
  readonly maxAttempts: number;
  /** Seconds. */
  readonly duration: number;
}

/** The number of failures without a success in between after which guessing ends, locks or no locks (NIST SP 800-63B §3.2.2). */
export const MAX_CONSECUTIVE_FAILURES = 100;

/** An attempt of which nothing was heard for so long has lost whoever would have told its outcome: hashes wait for seconds. */
export const IN_FLIGHT_SECONDS = 60;

/** Failures that have led to no lock are forgotten after a month without an attempt. */
export const FAILURES_KEPT_SECONDS = 30 * 86_400;

/** A device that nobody has signed in on for half a year is unknown again. */
const DEVICE_KEPT_SECONDS = 180 * 86_400;

/** The number of devices of a user that are known; one more takes the place of the one that was away for longest. */
export const MAX_DEVICE_TOKENS = 20;

/** Seconds after which to ask again where the attempts allowed are in flight, each about to succeed or to fail. */
const IN_FLIGHT_RETRY_SECONDS = 1;

const secondsBefore = (now: Date, seconds: number) => new Date(now.getTime() - seconds * 1000);

/** Failures until then are forgotten, unless there was an attempt since. */
export const failuresKeptSince = (now: Date) => secondsBefore(now, FAILURES_KEPT_SECONDS);

/** Devices that were used until then, and not since, are forgotten. */
export const devicesKeptSince = (now: Date) => secondsBefore(now, DEVICE_KEPT_SECONDS);

export function lockEnd(now: Date, { duration }: LockoutPolicy): Date {
  return new Date(now.getTime() + duration * 1000);
}

export function isLocked(lockedUntil: Date | null | undefined, now: Date): lockedUntil is Date {
  return lockedUntil != null && lockedUntil > now;
}

/** The counts that have refused an attempt. */
export interface Refusal {
  readonly lockedUntil: Date | null;
  readonly consecutiveFailures: number;
}

/**
 * Seconds for which to wait: until the lock ends, or a second where other attempts are in flight. After too many failures in a row no wait
 * helps, so what is told is the duration of a lock.
 */
export function secondsToWait({ lockedUntil, consecutiveFailures }: Refusal, now: Date, { duration }: LockoutPolicy): number {
  if (consecutiveFailures >= MAX_CONSECUTIVE_FAILURES) return duration;
  if (!isLocked(lockedUntil, now)) return IN_FLIGHT_RETRY_SECONDS;
  return Math.ceil((lockedUntil.getTime() - now.getTime()) / 1000);
}
