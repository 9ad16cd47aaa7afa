import type { EntityManager } from '@mikro-orm/postgresql';
import { z } from 'zod';
import { record } from '../../audit/audit-log.ts';
import { mayTouch } from '../../call/authorize.ts';
import type { Call } from '../../call/call.ts';
import { uuid } from '../../call/validation.ts';
import { transaction } from '../../database/transaction.ts';
import { requireMayActOn } from '../roles/grants.ts';
import { type Subject, subjectOf } from '../roles/subject.ts';
import type { ApiKey } from './api-key.entity.ts';
import { apiKeyNotFound } from './api-key.errors.ts';
import { findUnrevokedKeysOfUser, lockApiKey, lockDerivedKeys } from './api-key.repository.ts';

export const revokeApiKeyInput = z.object({ apiKeyId: uuid });

export function revokeApiKey(call: Call, { apiKeyId }: z.output<typeof revokeApiKeyInput>): Promise<void> {
  return transaction(call.em, async (em) => {
    const apiKey = await lockApiKey(em, apiKeyId);
    if (!apiKey || !mayTouch(call, apiKey.user?.id)) throw apiKeyNotFound();
    const ofCall = call.caller.kind !== 'anonymous' && call.caller.keyId === apiKey.id;
    if (!ofCall) await requireMayActOn(em, call, ownerOf(apiKey), apiKey.scopes);
    if (apiKey.revokedAt) return;
    revoke(em, call, apiKey, 'revoked');
    await revokeDerived(em, call, apiKey);
  });
}

/**
 * Ends the keys that a key has made for its owner, and those that they have made. The key that carries the call goes on, with all that it has
 * made: so a key replaces itself, by the successor that revokes it.
 */
async function revokeDerived(em: EntityManager, call: Call, { id }: ApiKey): Promise<void> {
  const { keyId } = call.caller.kind === 'anonymous' ? {} : call.caller;
  for (const derived of await lockDerivedKeys(em, id)) {
    if (derived.id === keyId) continue;
    if (!derived.revokedAt) revoke(em, call, derived, 'parent_revoked');
    await revokeDerived(em, call, derived);
  }
}

/** Revokes all keys of a user that work, or could again; returns how many. The caller holds the lock on the user, under which keys are made. */
export async function revokeApiKeysOfUser(em: EntityManager, call: Call, userId: string, reason: string): Promise<number> {
  const keys = await findUnrevokedKeysOfUser(em, userId);
  for (const apiKey of keys) revoke(em, call, apiKey, reason);
  return keys.length;
}

function revoke(em: EntityManager, call: Call, apiKey: ApiKey, reason: string): void {
  apiKey.revokedAt = call.now();
  const { metadata, ...subject } = subjectOf(ownerOf(apiKey));
  record(em, call, { type: 'api_key.revoked', ...subject, metadata: { api_key_id: apiKey.id, reason, ...metadata } });
}

function ownerOf({ user, serviceAccount }: ApiKey): Subject {
  return { userId: user?.id, serviceAccountId: serviceAccount?.id };
}
