import { type EntityManager, LockMode } from '@mikro-orm/postgresql';
import type { Subject } from '../roles/subject.ts';
import { ApiKey } from './api-key.entity.ts';

/** The newest first. */
export function findApiKeysOf(em: EntityManager, { userId, serviceAccountId }: Subject): Promise<ApiKey[]> {
  const owner = userId === undefined ? { serviceAccount: serviceAccountId ?? '' } : { user: userId };
  return em.find(ApiKey, owner, { orderBy: { createdAt: 'desc', id: 'desc' } });
}

export function findApiKeyByHash(em: EntityManager, hash: Buffer): Promise<ApiKey | null> {
  return em.findOne(ApiKey, { hash });
}

export function lockApiKey(em: EntityManager, id: string): Promise<ApiKey | null> {
  return em.findOne(ApiKey, { id }, { lockMode: LockMode.PESSIMISTIC_WRITE });
}

/** Notes when keys were last used, all in one statement; never moves a moment back. */
export async function noteLastUse(em: EntityManager, lastUse: ReadonlyMap<string, Date>): Promise<void> {
  const rows = [...lastUse];
  await em.execute(
    `update api_keys set last_used_at = used.at
     from (values ${rows.map(() => '(cast(? as uuid), cast(? as timestamptz))').join(', ')}) as used (id, at)
     where api_keys.id = used.id and (last_used_at is null or last_used_at < used.at)`,
    rows.flat(),
  );
}
