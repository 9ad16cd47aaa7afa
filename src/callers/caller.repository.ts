import type { EntityManager } from '@mikro-orm/postgresql';
import type { Pool } from 'pg';
import { permissionsOfServiceAccount } from '../roles/role.repository.ts';
import { findGrantsOfUser } from '../roles/user-grants.repository.ts';
import type { Caller } from '../rpc/call.ts';
import { Permissions } from '../rpc/permissions.ts';
import { findServiceAccountByName } from '../service-accounts/service-account.repository.ts';

/** The active service account of this name. */
export async function recogniseServiceAccount(em: EntityManager, name: string): Promise<Caller | undefined> {
  const account = await findServiceAccountByName(em, name);
  const names = account && (await permissionsOfServiceAccount(em, account.id));
  if (!account || !names) return undefined;
  return { kind: 'service_account', id: account.id, name, permissions: new Permissions(names) };
}

/** What an active user is and may do. */
export interface UserStanding {
  readonly roles: readonly string[];
  readonly permissions: Permissions;
}

export async function recogniseUser(pool: Pool, userId: string): Promise<UserStanding | undefined> {
  const granted = await findGrantsOfUser(pool, userId);
  return granted ? { roles: granted.roles, permissions: new Permissions(granted.permissions) } : undefined;
}
