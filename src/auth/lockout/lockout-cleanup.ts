import type { CleanupStep } from '../../jobs/cleanup.ts';
import { deleteForgottenDeviceTokens } from './device-token.repository.ts';
import { devicesKeptSince, failuresKeptSince } from './lockout-policy.ts';
import { deleteForgottenIdentifiers } from './login-attempt.repository.ts';

/** No lock is longer than failures are kept (LOCKOUT_DURATION is at most 30 days). */
export const lockoutCleanup: readonly CleanupStep[] = [
  { name: 'attempted_identifiers', run: (em, now, limit) => deleteForgottenIdentifiers(em, failuresKeptSince(now), limit) },
  { name: 'forgotten_device_tokens', run: (em, now, limit) => deleteForgottenDeviceTokens(em, devicesKeptSince(now), limit) },
];
