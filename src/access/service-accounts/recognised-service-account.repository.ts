import type { Caller } from '../../call/call.ts';
import { Permissions } from '../../call/permissions.ts';
import { listOf, type PreparedStatements } from '../../database/prepared.ts';
import { PERMISSIONS_OF_SERVICE_ACCOUNT } from '../roles/role.repository.ts';

const FIND = {
  name: 'callers.recognise-service-accounts',
  text: `
    select id, name, ${PERMISSIONS_OF_SERVICE_ACCOUNT} as permissions from service_accounts
    where name = any(${listOf('text')}) and is_active`,
};

interface Row {
  id: string;
  name: string;
  permissions: string[];
}

/** The active service accounts of these names, by name. In one query. */
export async function recogniseServiceAccounts(db: PreparedStatements, names: readonly string[]): Promise<ReadonlyMap<string, Caller>> {
  const rows = await db.run<Row>(FIND, [names]);
  return new Map(rows.map((row) => [row.name, toCaller(row)]));
}

function toCaller({ id, name, permissions }: Row): Caller {
  return { kind: 'service_account', id, name, permissions: new Permissions(permissions) };
}
