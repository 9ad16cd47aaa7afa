import type { EntityManager } from '@mikro-orm/postgresql';
import { permissionsOfServiceAccount, permissionsOfUser } from '../roles/role.repository.ts';
import type { Caller } from '../rpc/call.ts';
import { Permissions } from '../rpc/permissions.ts';
import { findApiKeyByHash } from './api-key.repository.ts';

/** Whose key it is, and until when it is good. */
export interface RecognisedApiKey {
  readonly caller: Caller;
  readonly keyId: string;
  readonly expiresAt?: Date;
}

/** Whose key this is and what it permits; undefined unless it is good now. */
export async function recogniseApiKey(em: EntityManager, hash: Buffer, now: Date): Promise<RecognisedApiKey | undefined> {
  const key = await findApiKeyByHash(em, hash);
  if (!key?.isValid(now)) return undefined;
  const names = key.user ? await permissionsOfUser(em, key.user.id) : await permissionsOfServiceAccount(em, key.serviceAccount?.id ?? '');
  if (!names) return undefined;
  const all = new Permissions(names);
  const permissions = key.scopes.length === 0 ? all : all.limitedTo(key.scopes);
  const caller: Caller = key.user
    ? { kind: 'user', userId: key.user.id, permissions, actsForSelf: key.scopes.length === 0 }
    : { kind: 'service_account', id: key.serviceAccount?.id ?? '', name: key.serviceAccount?.name ?? '', permissions };
  return { caller, keyId: key.id, ...(key.expiresAt ? { expiresAt: key.expiresAt } : {}) };
}
