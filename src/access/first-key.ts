import { access, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { EntityManager } from '@mikro-orm/postgresql';
import { systemCall } from '../call/system-call.ts';
import { createApiKey } from './api-keys/create-api-key.ts';
import { assignRole } from './roles/assign-role.ts';
import { createServiceAccount } from './service-accounts/create-service-account.ts';
import { findServiceAccountByName } from './service-accounts/service-account.repository.ts';

const ADMIN = 'admin';

/** No setting holds up an operator, who can reach the database. */
const OF_OPERATOR = { permissionsOverSelf: [], maxApiKeys: 1_000_000 };

export interface FirstKey {
  readonly file: string;
  /** Only at the start that has made it. */
  readonly key: string | undefined;
}

/**
 * The embedded database is for trying things out, so it comes with an administrator, whose key lies beside the data in a file that only its
 * owner can read. Deleting the file asks for a new key.
 */
export async function ensureFirstKey(em: EntityManager, dataDir: string): Promise<FirstKey> {
  const file = path.join(dataDir, 'admin.key');
  if (await exists(file)) return { file, key: undefined };
  const key = await createServiceAccountKey(em, ADMIN, [ADMIN]);
  await writeFile(file, `${key}\n`, { mode: 0o600 });
  return { file, key };
}

/** A new key of a service account, which is made where there is none and given the roles that it lacks. */
export async function createServiceAccountKey(em: EntityManager, name: string, roles: string[]): Promise<string> {
  const found = await findServiceAccountByName(systemCall(em).em, name);
  const { id } = found ?? (await createServiceAccount(systemCall(em), { name, description: '', roles }));
  if (found) for (const role of roles) await assignRole(systemCall(em), { role, serviceAccountId: id });
  const { key } = await createApiKey(systemCall(em), OF_OPERATOR, { serviceAccountId: id, name: 'first key', scopes: [] });
  return key;
}

function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
