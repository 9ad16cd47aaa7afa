import { BATCH, type Chore } from '../jobs/cleanup.ts';
import { deleteExpiredRateLimits } from './rate-limit.repository.ts';

/** The counters of every address and identifier that was ever tried; those of a window that is over count nothing any more. */
export const rateLimitChores: readonly Chore[] = [
  { name: 'expired_rate_limits', run: (em, now) => deleteExpiredRateLimits(em, now, BATCH) },
];
