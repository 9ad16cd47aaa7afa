import type { EntityManager } from '@mikro-orm/postgresql';
import { rfc3339, rfc3339As } from '../database/moments.ts';
import type { PersonalData } from '../users/personal-data.ts';
import { KnownDevice } from './known-device.entity.ts';
import { Session } from './session.entity.ts';

type Item = Record<string, string | string[] | null>;

/** The sessions of a user, live or not, as they are told to the user: without the hashes of their tokens. */
function exportSessions(em: EntityManager, userId: string, limit: number): Promise<Item[]> {
  const moments = ['created_at', 'reauthenticated_at', 'last_active_at', 'refreshed_at', 'expires_at'].map(rfc3339);
  const revokedAt = 'coalesce(revoked_at, (select ended_at from session_generations where number = sessions.generation))';
  return em.execute(
    `select id, ip_address, user_agent, device_name, auth_methods, client_id, ${moments.join(', ')}, ${rfc3339As('revoked_at', revokedAt)}
     from sessions where user_id = ? order by sessions.created_at, id limit ?`,
    [userId, limit],
  );
}

/** Exports the times since which the devices of a user are known; only a hash is stored of them. */
function exportKnownDevices(em: EntityManager, userId: string, limit: number): Promise<Item[]> {
  return em.execute(
    `select ${rfc3339('first_seen_at')}, ${rfc3339('last_seen_at')}
     from known_devices where user_id = ? order by known_devices.first_seen_at limit ?`,
    [userId, limit],
  );
}

export const sessionPersonalData: readonly PersonalData[] = [
  { kind: 'sessions', export: exportSessions, erase: (em, userId) => em.count(Session, { user: userId }) },
  { kind: 'known_devices', export: exportKnownDevices, erase: (em, userId) => em.count(KnownDevice, { user: userId }) },
];
