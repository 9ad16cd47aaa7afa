import type { Caller } from '../../call/call.ts';
import { Permissions } from '../../call/permissions.ts';
import { listOf, type PreparedStatements } from '../../database/prepared.ts';
import { PERMISSIONS_OF_SERVICE_ACCOUNT, PERMISSIONS_OF_USER } from '../roles/role.repository.ts';

/** A key that was found: the caller that it stands for, and the time until which it is good. */
export interface RecognisedApiKey {
  readonly caller: Caller;
  readonly keyId: string;
  readonly expiresAt: Date | undefined;
}

const FIND = {
  name: 'api-keys.recognise',
  text: `
    select encode(key_hash, 'hex') as hash, k.id, k.scopes, extract(epoch from k.expires_at)::float8 * 1000 as expires_at,
      users.id as user_id, service_accounts.id as service_account_id, service_accounts.name as service_account,
      ${PERMISSIONS_OF_USER} || ${PERMISSIONS_OF_SERVICE_ACCOUNT} as permissions
    from api_keys k
      left join users on users.id = k.user_id and users.is_active
      left join service_accounts on service_accounts.id = k.service_account_id and service_accounts.is_active
    where key_hash = any(${listOf('bytea')}) and revoked_at is null and num_nonnulls(users.id, service_accounts.id) = 1`,
};

type Owner = { user_id: string; service_account_id: null } | { user_id: null; service_account_id: string; service_account: string };

type Row = Owner & { hash: string; id: string; scopes: string[]; expires_at: number | null; permissions: string[] };

/**
 * Finds keys by their hashes (hexadecimal), in one query: those that were not revoked, of active owners. They may have
 * expired.
 */
export async function recogniseApiKeys(db: PreparedStatements, hashes: readonly string[]): Promise<ReadonlyMap<string, RecognisedApiKey>> {
  const rows = await db.run<Row>(FIND, [hashes.map((hash) => Buffer.from(hash, 'hex'))]);
  return new Map(rows.map((row) => [row.hash, toRecognised(row)]));
}

function toRecognised(row: Row): RecognisedApiKey {
  return { caller: callerOf(row), keyId: row.id, expiresAt: row.expires_at === null ? undefined : new Date(row.expires_at) };
}

function callerOf(row: Row): Caller {
  const permissions = new Permissions(row.permissions).limitedTo(row.scopes);
  return row.user_id === null
    ? { kind: 'service_account', id: row.service_account_id, name: row.service_account, keyId: row.id, permissions }
    : { kind: 'user', userId: row.user_id, keyId: row.id, permissions, actsForSelf: row.scopes.length === 0 };
}

export function hasExpired({ expiresAt }: RecognisedApiKey, now: Date): boolean {
  return expiresAt !== undefined && expiresAt <= now;
}
