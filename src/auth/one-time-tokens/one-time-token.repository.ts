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

/** The newest wins: it takes the place of the one that the user has. At most one for each user and purpose. */
export async function replaceTokens(em: EntityManager, tokens: readonly NewOneTimeToken[], now: Date): Promise<void> {
  const given = tokens.map(({ secretHash, ...token }) => ({ ...token, secretHash: secretHash.toString('hex') }));
  await em.execute(
    `insert into one_time_tokens (id, user_id, purpose, secret_hash, expires_at, created_at)
     select id, "userId", purpose, decode("secretHash", 'hex'), "expiresAt", ?
     from json_to_recordset(?) as given (id uuid, "userId" uuid, purpose text, "secretHash" text, "expiresAt" timestamptz)
     on conflict (user_id, purpose) do update set id = excluded.id, secret_hash = excluded.secret_hash, failed_attempts = 0,
       expires_at = excluded.expires_at, created_at = excluded.created_at`,
    [now, JSON.stringify(given)],
  );
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

/** Uses the token up: of parallel calls, one. False where it is gone already. */
export async function takeToken(em: EntityManager, { id }: OneTimeToken): Promise<boolean> {
  return (await em.nativeDelete(OneTimeToken, { id })) === 1;
}

export interface PresentedCode {
  readonly userId: string;
  readonly secretHash: Buffer;
  readonly now: Date;
  readonly maxAttempts: number;
}

/** Uses up the code of a user, if it is the right one and still good. */
export async function takeCode(em: EntityManager, { userId, secretHash, now, maxAttempts }: PresentedCode): Promise<boolean> {
  const good = { userId, purpose: 'login_code', secretHash, expiresAt: { $gt: now }, failedAttempts: { $lt: maxAttempts } } as const;
  return (await em.nativeDelete(OneTimeToken, good)) === 1;
}

/** The id of the code that a user has been sent last. Not an entity: finding one would take longer than finding none. */
export async function findCodeId(em: EntityManager, userId: string): Promise<string | undefined> {
  const rows = await em.execute<{ id: string }[]>(`select id from one_time_tokens where user_id = ? and purpose = 'login_code'`, [userId]);
  return rows[0]?.id;
}

/** Too many wrong ones, and the code is good for nothing any more. */
export async function countWrongCode(em: EntityManager, userId: string): Promise<void> {
  await em.execute(
    `update one_time_tokens set failed_attempts = failed_attempts + 1 where user_id = ? and purpose = 'login_code' returning 1`,
    [userId],
  );
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
