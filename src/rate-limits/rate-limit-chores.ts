import { BATCH, type CleanupStep } from '../jobs/cleanup.ts';
import { deleteExpiredRateLimits } from './rate-limit.repository.ts';

/** The counters of every address and identifier that was ever tried; those of a window that is over count nothing any more. */
export const rateLimitChores: readonly CleanupStep[] = [
  { name: 'expired_rate_limits', run: (em, now) => deleteExpiredRateLimits(em, now, BATCH) },
];
