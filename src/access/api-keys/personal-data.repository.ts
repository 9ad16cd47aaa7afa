import type { EntityManager } from '@mikro-orm/postgresql';
import { rfc3339 } from '../../database/moments.ts';
import type { PersonalData } from '../../users/personal-data.ts';
import { ApiKey } from './api-key.entity.ts';

type Item = Record<string, string | string[] | null>;

/** The API keys of a user, as they are told to the user: without their hashes. */
function exportApiKeys(em: EntityManager, userId: string, limit: number): Promise<Item[]> {
  const moments = ['created_at', 'expires_at', 'last_used_at', 'revoked_at'].map(rfc3339);
  return em.execute(
    `select id, name, hint, scopes, ${moments.join(', ')} from api_keys where user_id = ? order by api_keys.created_at, id limit ?`,
    [userId, limit],
  );
}

export const apiKeyPersonalData: readonly PersonalData[] = [
  { kind: 'api_keys', export: exportApiKeys, erase: (em, userId) => em.count(ApiKey, { user: userId }) },
];
