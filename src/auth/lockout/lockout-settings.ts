import { integer, type ValuesOf } from '../../settings/variables.ts';
import type { LockoutPolicy } from './lockout-policy.ts';

export const lockoutVariables = {
  LOCKOUT_MAX_ATTEMPTS: integer(5, 1, 1000),
  LOCKOUT_DURATION: integer(1800, 1, 30 * 86_400),
};

export function lockoutSettings(env: ValuesOf<typeof lockoutVariables>): LockoutPolicy {
  return { maxAttempts: env.LOCKOUT_MAX_ATTEMPTS, duration: env.LOCKOUT_DURATION };
}
