import { p } from '@mikro-orm/postgresql';
import { moment } from '../../database/columns.ts';

/** The columns that attempt-counters.ts speaks of, but for `attempted_at`. */
export const attemptCounters = () => ({
  attemptsInFlight: p.integer().default(0),
  failedAttempts: p.integer().default(0),
  lockedUntil: moment().nullable(),
  consecutiveFailures: p.integer().default(0),
});
