import type { EntityManager } from '@mikro-orm/postgresql';
import { record } from '../../audit/audit-log.ts';
import type { Call } from '../../call/call.ts';
import type { User } from '../../users/user.entity.ts';
import { forgetFailuresOfDevices } from './device-token.repository.ts';
import { isLocked } from './lockout-policy.ts';
import { type ClaimedAttempt, endRunOfIdentifiers, forgetFailuresOfIdentifiers } from './login-attempt.repository.ts';

/**
 * Settles a claimed attempt that has succeeded, or none where the proof was another one. The caller holds the lock on the user.
 *
 * On a known device, it ends the run of failures and leaves the rest: the lock of all others, which it has not had to pass, and their count. An
 * attacker gets no more guesses because the owner signs in.
 */
export async function settleSuccess(em: EntityManager, call: Call, user: User, attempt?: ClaimedAttempt): Promise<void> {
  if (attempt?.deviceHash) {
    if (user.consecutiveFailures > 0) await endRunOfIdentifiers(em, user.id);
    user.consecutiveFailures = 0;
    return;
  }
  if (attempt) user.attemptsInFlight = Math.max(user.attemptsInFlight - 1, 0);
  // A lock runs out without anybody doing it; the first attempt after it tells the audit trail.
  if (user.lockedUntil && !isLocked(user.lockedUntil, call.now())) {
    record(em, call, { type: 'user.unlocked', userId: user.id, metadata: { reason: 'auto' } });
  }
  await forgetFailures(em, user, attempt?.identifierHash);
}

/** Writes down that a proof by mail lifts the lock that stands; the failures are forgotten with `settleSuccess`. */
export function recordLiftedLock(em: EntityManager, call: Call, user: User, reason: 'code' | 'reset'): void {
  if (!isLocked(user.lockedUntil, call.now())) return;
  record(em, call, { type: 'user.unlocked', userId: user.id, metadata: { reason } });
  user.lockedUntil = null;
}

/** Forgets the failures of an account under all its names, and lifts its lock. Tells whether there was anything to forget. */
async function forgetFailures(em: EntityManager, user: User, claimedHash: Buffer | null = null): Promise<boolean> {
  const identifiers = await forgetFailuresOfIdentifiers(em, user.id, claimedHash);
  const any = identifiers > 0 || user.failedAttempts > 0 || user.consecutiveFailures > 0 || user.lockedUntil != null;
  user.failedAttempts = 0;
  user.consecutiveFailures = 0;
  user.lockedUntil = null;
  return any;
}

/** The same on all its devices as well: for an administrator. */
export async function forgetAllFailures(em: EntityManager, user: User): Promise<boolean> {
  const devices = await forgetFailuresOfDevices(em, user.id);
  return (await forgetFailures(em, user)) || devices > 0;
}
