import type { EntityManager } from '@mikro-orm/postgresql';
import { rfc3339 } from '../../database/moments.ts';
import type { CleanupStep } from '../../jobs/cleanup.ts';
import type { PersonalData } from '../../users/personal-data.ts';
import { OneTimeToken } from './one-time-token.entity.ts';
import type { TokenPurpose } from './one-time-token-policy.ts';

export interface NewOneTimeToken {
  readonly id: string;
  readonly userId: string;
  readonly purpose: TokenPurpose;
  readonly secretHash: Buffer;
  readonly expiresAt: Date;
}

export async function insertTokens(em: EntityManager, tokens: readonly NewOneTimeToken[], now: Date): Promise<void> {
  const given = tokens.map(({ secretHash, ...token }) => ({ ...token, secretHash: secretHash.toString('hex') }));
  await em.execute(
    `insert into one_time_tokens (id, user_id, purpose, secret_hash, expires_at, created_at)
     select id, "userId", purpose, decode("secretHash", 'hex'), "expiresAt", ?
     from json_to_recordset(?) as given (id uuid, "userId" uuid, purpose text, "secretHash" text, "expiresAt" timestamptz)`,
    [now, JSON.stringify(given)],
  );
}

/** The latest token of a user for a purpose. */
export type NewestToken = Pick<OneTimeToken, 'id' | 'userId' | 'purpose' | 'failedAttempts' | 'createdAt'>;

/** For each of the users and purposes, the token that was made last; those who have none are missing. */
export async function findNewestTokens(
  em: EntityManager,
  wanted: readonly Pick<NewOneTimeToken, 'userId' | 'purpose'>[],
): Promise<NewestToken[]> {
  const rows = await em.execute<(Omit<NewestToken, 'createdAt'> & { readonly createdAt: string })[]>(
    `select distinct on (user_id, purpose) id, user_id as "userId", purpose, failed_attempts as "failedAttempts", created_at as "createdAt"
     from one_time_tokens where (user_id, purpose) in (select "userId", purpose from json_to_recordset(?) as given ("userId" uuid, purpose text))
     order by user_id, purpose, created_at desc`,
    [JSON.stringify(wanted)],
  );
  return rows.map((row) => ({ ...row, createdAt: new Date(row.createdAt) }));
}

/** Those of the tokens that are there, each with its purpose and its expiry. */
export async function findTokens(em: EntityManager, ids: readonly string[]): Promise<Pick<OneTimeToken, 'id' | 'purpose' | 'expiresAt'>[]> {
  if (ids.length === 0) return [];
  const rows = await em.execute<{ id: string; purpose: TokenPurpose; expiresAt: string }[]>(
    'select id, purpose, expires_at as "expiresAt" from one_time_tokens where id = any(cast(? as uuid[]))',
    [`{${ids.join(',')}}`],
  );
  return rows.map((row) => ({ ...row, expiresAt: new Date(row.expiresAt) }));
}

export function findTokenByHash(em: EntityManager, purpose: TokenPurpose, secretHash: Buffer): Promise<OneTimeToken | null> {
  return em.findOne(OneTimeToken, { secretHash, purpose });
}

/** Uses a token up: of parallel calls, one. False where it is gone already. */
export async function takeToken(em: EntityManager, id: string): Promise<boolean> {
  return (await em.nativeDelete(OneTimeToken, { id })) === 1;
}

/** A code that may be compared, once: the attempt is counted already. */
export type ClaimedCode = Pick<OneTimeToken, 'id' | 'secretHash'>;

/**
 * Counts an attempt on each code of a user that is still good, in one guarded statement: of any number of parallel attempts only as many get at
 * a code as the limit allows. Its commit does not wait for the disk, as that of what becomes of the attempt does, so that it takes as long for a
 * user without a code.
 */
export function claimCodes(em: EntityManager, userId: string, now: Date, maxAttempts: number): Promise<ClaimedCode[]> {
  return em.execute<ClaimedCode[]>(
    `update one_time_tokens set failed_attempts = failed_attempts + 1
     where user_id = ? and purpose = 'login_code' and expires_at > ? and failed_attempts < ?
       and set_config('synchronous_commit', 'off', true) is not null
     returning id, secret_hash as "secretHash"`,
    [userId, now, maxAttempts],
  );
}

/** Counts an attempt with a token, unless it has had as many as it may: false. Of parallel attempts, no more get through. */
export async function claimToken(em: EntityManager, id: string, maxAttempts: number): Promise<boolean> {
  const claimed = await em.execute(
    'update one_time_tokens set failed_attempts = failed_attempts + 1 where id = ? and failed_attempts < ? returning 1',
    [id, maxAttempts],
  );
  return claimed.length > 0;
}

/** Takes an attempt back. */
export async function releaseTokens(em: EntityManager, codes: readonly Pick<OneTimeToken, 'id'>[]): Promise<void> {
  await em.execute('update one_time_tokens set failed_attempts = greatest(failed_attempts - 1, 0) where id = any(cast(? as uuid[]))', [
    `{${codes.map(({ id }) => id).join(',')}}`,
  ]);
}

/** Deletes the tokens that a user was sent before and that are not wanted any more, but for one where it is named. */
export function deleteTokens(em: EntityManager, userId: string, purposes: readonly TokenPurpose[], exceptId?: string): Promise<number> {
  const except = exceptId === undefined ? {} : { id: { $ne: exceptId } };
  return em.nativeDelete(OneTimeToken, { userId, purpose: { $in: [...purposes] }, ...except });
}

/** Deletes up to `limit` tokens that nobody can use any more. */
export async function deleteExpiredTokens(em: EntityManager, before: Date, limit: number): Promise<number> {
  const deleted = await em.execute(
    'delete from one_time_tokens where id in (select id from one_time_tokens where expires_at < ? limit ? for update skip locked) returning 1',
    [before, limit],
  );
  return deleted.length;
}

/** Exports what mails still let a user do; neither the id nor the hash, to which the secret hangs. */
function exportOneTimeTokens(em: EntityManager, userId: string, limit: number): Promise<Record<string, string | number>[]> {
  return em.execute(
    `select purpose, ${rfc3339('created_at')}, ${rfc3339('expires_at')}
     from one_time_tokens where user_id = ? order by one_time_tokens.created_at limit ?`,
    [userId, limit],
  );
}

export const tokenPersonalData: readonly PersonalData[] = [
  { kind: 'one_time_tokens', export: exportOneTimeTokens, erase: (em, userId) => em.nativeDelete(OneTimeToken, { userId }) },
];

export const tokenCleanup: readonly CleanupStep[] = [{ name: 'expired_one_time_tokens', run: deleteExpiredTokens }];
