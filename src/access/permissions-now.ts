import type { EntityManager } from '@mikro-orm/postgresql';
import { callerUnauthenticated, permissionDenied } from '../call/authorize.ts';
import type { Call } from '../call/call.ts';
import { Permissions } from '../call/permissions.ts';
import { SYSTEM } from '../call/system-call.ts';
import { lockEpoch } from '../events/authorization-epoch.repository.ts';
import { lockLiveSession } from '../sessions/session.repository.ts';
import { lockUserId } from '../users/user.repository.ts';
import { lockWorkingKey } from './api-keys/api-key.repository.ts';
import { permissionsOfServiceAccount, permissionsOfUser } from './roles/role.repository.ts';

/**
 * Reads what the caller may do at this moment, in the transaction of what they ask for, and keeps it so until that ends. A replica may
 * remember a caller for 250 ms too long: long enough for somebody whose key was just revoked to make themself another one. So it is asked again
 * of everybody who gives or takes rights. Throws where the credentials, or the permission of the RPC, have gone meanwhile.
 */
export async function permissionsNow(em: EntityManager, call: Call): Promise<Permissions> {
  const { caller, access } = call;
  if (caller === SYSTEM) return caller.permissions;
  const scopes = await lockCredential(em, call);
  await lockEpoch(em);
  const granted = scopes && (await permissionsByRoles(em, call));
  if (!granted) throw callerUnauthenticated();
  const permissions = new Permissions(granted).limitedTo(scopes);
  if (caller.permissions.has(access.permission) && !permissions.has(access.permission)) throw permissionDenied(access.permission);
  return permissions;
}

/** The scopes of the caller's credential, which does not end before the transaction; undefined where it has ended. */
async function lockCredential(em: EntityManager, { caller, now }: Call): Promise<readonly string[] | undefined> {
  if (caller.kind === 'anonymous') return undefined;
  // The user first, as everywhere (ADR 6).
  if (caller.kind === 'user') await lockUserId(em, caller.userId);
  if (caller.keyId !== undefined) return (await lockWorkingKey(em, caller.keyId, now()))?.scopes;
  if (caller.kind === 'user' && !(await lockLiveSession(em, caller.sessionId ?? '', now()))) return undefined;
  return [];
}

/** Null where the caller is gone or deactivated. */
async function permissionsByRoles(em: EntityManager, { caller }: Call): Promise<string[] | null> {
  switch (caller.kind) {
    case 'user':
      return permissionsOfUser(em, caller.userId);
    case 'service_account':
      return permissionsOfServiceAccount(em, caller.id);
    case 'anonymous':
      return null;
  }
}
