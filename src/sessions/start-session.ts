import type { EntityManager } from '@mikro-orm/postgresql';
import type { Call } from '../call/call.ts';
import { type Client, describedDevice } from '../call/client.ts';
import type { User } from '../users/user.entity.ts';
import { endSession } from './end-sessions.ts';
import { Session } from './session.entity.ts';
import { findLiveSessions } from './session.repository.ts';
import { currentGeneration } from './session-generation.entity.ts';

export interface StartSession {
  readonly user: User;
  readonly client: Client;
  readonly refreshFamilyHash: Buffer;
  readonly refreshHash: Buffer;
  /** RFC 8176, e.g. `pwd`. */
  readonly authMethods: string[];
  /** The service account that signs the user in, if one does. */
  readonly clientId: string | undefined;
  readonly expiresAt: Date;
  readonly maxSessions: number;
  readonly now: Date;
}

/**
 * Starts a session; where that makes too many, the least recently active ones end. The caller holds the lock on the user, so parallel
 * logins cannot exceed the limit together.
 */
export async function startSession(em: EntityManager, call: Call, options: StartSession): Promise<Session> {
  const { user, client, refreshFamilyHash, refreshHash, authMethods, clientId, expiresAt, maxSessions, now } = options;
  const others = await findLiveSessions(em, user.id, now);
  for (const session of others.slice(maxSessions - 1)) endSession(em, call, session, 'too_many_sessions');
  const tokens = { refreshFamilyHash, refreshHash };
  const moments = { createdAt: now, lastActiveAt: now, expiresAt };
  const device = describedDevice(client);
  const row = { user, ...device, clientId: clientId ?? null, authMethods, ...moments, generation: currentGeneration(), ...tokens };
  return em.create(Session, row);
}
