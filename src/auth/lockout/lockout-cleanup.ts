import type { CleanupStep } from '../../jobs/cleanup.ts';
import type { LockoutPolicy } from './lockout-policy.ts';
import { deleteUnknownLogins } from './login-attempt.repository.ts';

/** An account that exists keeps its count of failures until a success; one that does not, for a month. */
const KEPT_MS = 30 * 86_400_000;

export const lockoutCleanup = ({ duration }: LockoutPolicy): CleanupStep[] => [
  {
    name: 'unknown_logins',
    run: (em, now, limit) => deleteUnknownLogins(em, new Date(now.getTime() - KEPT_MS - duration * 1000), limit),
  },
];
