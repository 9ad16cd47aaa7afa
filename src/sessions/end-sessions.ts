import type { EntityManager } from '@mikro-orm/postgresql';
import { record } from '../audit/audit-log.ts';
import type { Call } from '../call/call.ts';
import type { Session } from './session.entity.ts';
import { findLiveSessions } from './session.repository.ts';

/** Ends a session that the caller of this function has locked, directly or by its user. */
export function endSession(em: EntityManager, call: Call, session: Session, reason: string): void {
  session.revokedAt = call.now();
  record(em, call, { type: 'session.revoked', userId: session.user.id, metadata: { session_id: session.id, reason } });
}

/** Ends every live session of a user but for one; returns how many. The caller holds the lock on the user. */
export async function endSessions(
  em: EntityManager,
  call: Call,
  userId: string,
  reason: string,
  exceptSessionId?: string,
): Promise<number> {
  const sessions = (await findLiveSessions(em, userId, call.now())).filter(({ id }) => id !== exceptSessionId);
  for (const session of sessions) endSession(em, call, session, reason);
  return sessions.length;
}
