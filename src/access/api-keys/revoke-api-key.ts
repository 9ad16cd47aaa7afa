import { z } from 'zod';
import { record } from '../../audit/audit-log.ts';
import { mayTouch } from '../../call/authorize.ts';
import type { Call } from '../../call/call.ts';
import { uuid } from '../../call/validation.ts';
import { transaction } from '../../database/transaction.ts';
import { subjectOf } from '../roles/subject.ts';
import { apiKeyNotFound } from './api-key.errors.ts';
import { lockApiKey } from './api-key.repository.ts';

export const revokeApiKeyInput = z.object({ apiKeyId: uuid });

export function revokeApiKey(call: Call, { apiKeyId }: z.output<typeof revokeApiKeyInput>): Promise<void> {
  return transaction(call.em, async (em) => {
    const apiKey = await lockApiKey(em, apiKeyId);
    if (!apiKey || !mayTouch(call, apiKey.user?.id)) throw apiKeyNotFound();
    if (apiKey.revokedAt) return;
    apiKey.revokedAt = call.now();
    const { metadata, ...subject } = subjectOf({ userId: apiKey.user?.id, serviceAccountId: apiKey.serviceAccount?.id });
    record(em, call, { type: 'api_key.revoked', ...subject, metadata: { api_key_id: apiKey.id, ...metadata } });
  });
}
