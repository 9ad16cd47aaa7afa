import type { Pool } from 'pg';
import { runPrepared } from '../database/prepared.ts';
import { PERMISSIONS_OF_SERVICE_ACCOUNT } from '../roles/role.repository.ts';
import type { Caller } from '../rpc/call.ts';
import { Permissions } from '../rpc/permissions.ts';

/** Behind a `select`, as with IDS: one plan for any number of names. */
const FIND = {
  name: 'callers.recognise-service-accounts',
  text: `
    select id, name, ${PERMISSIONS_OF_SERVICE_ACCOUNT} as permissions from service_accounts
    where name = any((select $1::text[])::text[]) and is_active`,
};

interface Row {
  id: string;
  name: string;
  permissions: string[];
}

/** The active service accounts of these names, in the order of the names. In one query. */
export async function recogniseServiceAccounts(pool: Pool, names: readonly string[]): Promise<(Caller | undefined)[]> {
  const rows = await runPrepared<Row>(pool, FIND, [names]);
  const found = new Map(rows.map((row) => [row.name, row]));
  return names.map((name) => {
    const row = found.get(name);
    return row && { kind: 'service_account', id: row.id, name, permissions: new Permissions(row.permissions) };
  });
}
