import type { EntityManager } from '@mikro-orm/postgresql';
import { permissionsOfServiceAccount, permissionsOfUser } from '../roles/role.repository.ts';
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

/** What an active user may do. */
export async function recogniseUser(em: EntityManager, userId: string): Promise<Permissions | undefined> {
  const names = await permissionsOfUser(em, userId);
  return names ? new Permissions(names) : undefined;
}

export async function readEpoch(em: EntityManager): Promise<string> {
  const rows = await em.execute<{ version: string }[]>('select version::text from authorization_epoch');
  return rows[0]?.version ?? '';
}
