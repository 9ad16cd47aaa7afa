import { FAILURES_KEPT_SECONDS, IN_FLIGHT_SECONDS, MAX_CONSECUTIVE_FAILURES } from './lockout-policy.ts';

/** Names of the parameters of a statement. */
export interface CounterParameters {
  readonly now: string;
  readonly maxAttempts: string;
}

/** By the clock of the database, which all replicas share: one whose clock is ahead would take attempts in flight for lost. */
const ago = (seconds: number) => `now() - interval '${seconds} seconds'`;

/**
 * SQL of the counters that accounts, identifiers and devices have alike. `attempts_in_flight` were claimed and have no outcome yet, the latest at
 * `attempted_at`. `failed_attempts` lead to the lock `locked_until`; `consecutive_failures` only a success, or somebody who may, takes back.
 */
export function counters(table: string, { now, maxAttempts }: CounterParameters) {
  const inFlight = `case when ${table}.attempted_at > ${ago(IN_FLIGHT_SECONDS)} then ${table}.attempts_in_flight else 0 end`;
  // A lock that has run out counts as none, and the count begins anew.
  const forgotten = `${table}.locked_until <= ${now} or ${table}.attempted_at <= ${ago(FAILURES_KEPT_SECONDS)}`;
  const failures = `case when ${forgotten} then 0 else ${table}.failed_attempts end`;
  return {
    /** One more attempt may be made: even if all those in flight fail, there were no more than allowed. */
    free: `(${table}.locked_until is null or ${table}.locked_until <= ${now})
      and ${table}.consecutive_failures + ${inFlight} < ${MAX_CONSECUTIVE_FAILURES} and (${failures}) + ${inFlight} < ${maxAttempts}`,
    claimed: `attempts_in_flight = ${inFlight} + 1, failed_attempts = ${failures}, attempted_at = now()`,
    /** The failure that reaches the limit sets the lock, which nothing prolongs. */
    failed: (lockUntil: string) =>
      `${RELEASED(table)}, failed_attempts = ${failures} + 1, consecutive_failures = ${table}.consecutive_failures + 1,
       locked_until = case when ${table}.locked_until > ${now} then ${table}.locked_until
         when (${failures}) + 1 >= ${maxAttempts} then ${lockUntil} end`,
  };
}

/** An attempt has ended. */
export const RELEASED = (table: string) => `attempts_in_flight = greatest(${table}.attempts_in_flight - 1, 0)`;

export const FORGOTTEN = 'failed_attempts = 0, locked_until = null, consecutive_failures = 0';
