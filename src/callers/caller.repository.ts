import type { EntityManager } from '@mikro-orm/postgresql';
import { permissionsOfServiceAccount } from '../roles/role.repository.ts';
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
