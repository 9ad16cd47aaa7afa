import type { EntityManager } from '@mikro-orm/postgresql';
import { z } from 'zod';
import { record } from '../../audit/audit-log.ts';
import { mayTouch } from '../../call/authorize.ts';
import type { Call } from '../../call/call.ts';
import { uuid } from '../../call/validation.ts';
import { transaction } from '../../database/transaction.ts';
import { subjectOf } from '../roles/subject.ts';
import type { ApiKey } from './api-key.entity.ts';
import { apiKeyNotFound } from './api-key.errors.ts';
import { findUnrevokedKeysOfUser, lockApiKey } from './api-key.repository.ts';

export const revokeApiKeyInput = z.object({ apiKeyId: uuid });

export function revokeApiKey(call: Call, { apiKeyId }: z.output<typeof revokeApiKeyInput>): Promise<void> {
  return transaction(call.em, async (em) => {
    const apiKey = await lockApiKey(em, apiKeyId);
    if (!apiKey || !mayTouch(call, apiKey.user?.id)) throw apiKeyNotFound();
    if (apiKey.revokedAt) return;
    revoke(em, call, apiKey, 'revoked');
  });
}

/** Revokes all keys of a user that work, or could again; returns how many. The caller holds the lock on the user, under which keys are made. */
export async function revokeApiKeysOfUser(em: EntityManager, call: Call, userId: string, reason: string): Promise<number> {
  const keys = await findUnrevokedKeysOfUser(em, userId);
  for (const apiKey of keys) revoke(em, call, apiKey, reason);
  return keys.length;
}

function revoke(em: EntityManager, call: Call, apiKey: ApiKey, reason: string): void {
  apiKey.revokedAt = call.now();
  const { metadata, ...subject } = subjectOf({ userId: apiKey.user?.id, serviceAccountId: apiKey.serviceAccount?.id });
  record(em, call, { type: 'api_key.revoked', ...subject, metadata: { api_key_id: apiKey.id, reason, ...metadata } });
}
