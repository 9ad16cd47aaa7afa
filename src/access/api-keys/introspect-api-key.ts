import { z } from 'zod';
import type { Call } from '../../call/call.ts';
import type { CoalescedReads } from '../../concurrency/coalesced-reads.ts';
import type { ApiKey } from './api-key.entity.ts';
import { findApiKeyByHash } from './api-key.repository.ts';
import { hashApiKey, isApiKey } from './api-key-format.ts';
import { hasExpired, type RecognisedApiKey } from './recognised-api-key.repository.ts';

export const introspectApiKeyInput = z.object({ key: z.string().min(1, 'is required') });

export interface KeyIntrospection {
  readonly apiKey: ApiKey;
  readonly permissions: string[];
}

/** Undefined for a key that does not work, without a reason. */
export async function introspectApiKey(
  recognisedKeys: CoalescedReads<RecognisedApiKey>,
  call: Call,
  { key }: z.output<typeof introspectApiKeyInput>,
): Promise<KeyIntrospection | undefined> {
  if (!isApiKey(key)) return undefined;
  const hash = hashApiKey(key);
  const recognised = await recognisedKeys.get(hash.toString('hex'));
  if (!recognised || hasExpired(recognised, call.now())) return undefined;
  const apiKey = await findApiKeyByHash(call.em, hash);
  return apiKey ? { apiKey, permissions: recognised.caller.permissions.list() } : undefined;
}
