import type { EntityManager } from '@mikro-orm/postgresql';
import { record } from '../../audit/audit-log.ts';
import type { Call } from '../../call/call.ts';
import type { User } from '../../users/user.entity.ts';
import { isLocked } from './lockout-policy.ts';

/**
 * Forgets the failed attempts on a user, who is locked for the transaction: they have come in by a mail. The audit trail has the reason; of a lock
 * that had run out by itself it says so.
 */
export function liftLock(em: EntityManager, call: Call, user: User, reason: 'code' | 'reset'): void {
  if (user.lockedUntil != null) {
    const metadata = { reason: isLocked(user.lockedUntil, call.now()) ? reason : 'auto' };
    record(em, call, { type: 'user.unlocked', userId: user.id, metadata });
  }
  user.failedAttempts = 0;
  user.lockedUntil = null;
}
