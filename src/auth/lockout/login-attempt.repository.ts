import type { EntityManager } from '@mikro-orm/postgresql';
import type { PreparedStatement, PreparedStatements } from '../../database/prepared.ts';

/** The account that somebody tries to enter; `hash` stands for it where there is no such account. */
export interface AttemptedIdentifier {
  readonly column: 'email' | 'username' | 'id';
  readonly value: string;
  readonly hash: Buffer;
}

export interface AttemptLimits {
  readonly now: Date;
  readonly maxAttempts: number;
  /** The end of a lock that begins now. */
  readonly lockUntil: Date;
}

/** An attempt that was counted before its password is looked at. */
export interface ClaimedAttempt {
  readonly userId: string | null;
  /** Null for an unknown account, one without a password, and a deactivated one: nothing matches it. */
  readonly passwordHash: string | null;
  /** Set where this attempt was the last one allowed: the account is locked unless it succeeds. */
  readonly lockedUntil: Date | null;
  readonly identifierHash: Buffer;
  /** The account was locked before, and the lock had run out: this attempt is the first one after it. */
  readonly lockExpired: boolean;
}

export interface RefusedAttempt {
  readonly lockedUntil: Date | null;
}

interface ClaimRow {
  claimed: boolean;
  user_id: string | null;
  password_hash: string | null;
  /** The driver's text form; rows of raw queries are not hydrated. */
  locked_until: string | null;
  lock_expired: boolean;
}

/**
 * Counts an attempt, unless the account is locked, in one guarded statement: of any number of parallel attempts only as many get
 * through as the limit allows. The last one allowed sets the lock at once, before its password is compared.
 *
 * The same statement does the same for an account that does not exist, so that neither answer nor effort tells whether it does.
 */
export async function claimAttempt(
  db: PreparedStatements,
  { column, value, hash }: AttemptedIdentifier,
  { now, maxAttempts, lockUntil }: AttemptLimits,
): Promise<ClaimedAttempt | RefusedAttempt> {
  const [row] = await db.run<ClaimRow>(CLAIM[column], [value, hash, now, maxAttempts, lockUntil]);
  const lockedUntil = row?.locked_until ? new Date(row.locked_until) : null;
  if (!row?.claimed) return { lockedUntil };
  return { userId: row.user_id, passwordHash: row.password_hash, lockedUntil, identifierHash: hash, lockExpired: row.lock_expired };
}

export const isClaimed = (attempt: ClaimedAttempt | RefusedAttempt): attempt is ClaimedAttempt => 'identifierHash' in attempt;

/** A lock that has ended counts as none: the count begins anew. */
const COUNT = (table: string) => `case when ${table}.locked_until is null then ${table}.failed_attempts + 1 else 1 end`;
const LOCK = (table: string) => `case when ${COUNT(table)} >= $4 then $5::timestamptz end`;
const UNLOCKED = (table: string) => `(${table}.locked_until is null or ${table}.locked_until <= $3)`;

/**
 * The commit of a claim does not wait for the disk: that of what becomes of the attempt does, for all that was written before it. So nobody
 * gets an answer to an attempt that a crash could still undo.
 */
const WITHOUT_THE_DISK = `set_config('synchronous_commit', 'off', true) is not null`;

const claimStatement = (column: AttemptedIdentifier['column']): PreparedStatement => ({
  name: `lockout.claim-by-${column}`,
  text: `
    with account as (select id, locked_until from users where ${column} = $1),
    claimed as (
      update users set failed_attempts = ${COUNT('users')}, locked_until = ${LOCK('users')}
      where ${column} = $1 and ${UNLOCKED('users')} and ${WITHOUT_THE_DISK}
      returning id, case when is_active then password_hash end as password_hash, locked_until
    ),
    claimed_unknown as (
      insert into unknown_logins as unknown (identifier_hash, failed_attempts, locked_until, last_failed_at)
      select $2::bytea, 1, case when 1 >= $4 then $5::timestamptz end, $3::timestamptz
      where not exists (select from account)
        -- Only spares work: an insert that finds a locked row would take longer than the refusal of an account that exists.
        and not exists (select from unknown_logins where identifier_hash = $2 and locked_until > $3)
        and ${WITHOUT_THE_DISK}
      on conflict (identifier_hash) do update
        set failed_attempts = ${COUNT('unknown')}, locked_until = ${LOCK('unknown')}, last_failed_at = $3
        where ${UNLOCKED('unknown')}
      returning locked_until
    )
    select true as claimed, id as user_id, password_hash, locked_until,
      coalesce((select locked_until <= $3 from account), false) as lock_expired
    from claimed
    union all
    select true, null, null, locked_until, false from claimed_unknown
    union all
    select false, null, null, coalesce(
      (select locked_until from account),
      (select locked_until from unknown_logins where identifier_hash = $2)
    ), false
    order by claimed desc
    limit 1`,
});

const CLAIM = { email: claimStatement('email'), username: claimStatement('username'), id: claimStatement('id') } as const;

/**
 * Takes an attempt back: its password was not compared, or was right. A lock that this attempt has helped to set goes with it: there
 * were fewer failures than it takes.
 */
export async function releaseAttempt(em: EntityManager, { userId, identifierHash }: ClaimedAttempt, maxAttempts: number): Promise<void> {
  const table = userId === null ? 'unknown_logins' : 'users';
  const where = userId === null ? 'identifier_hash = :identifierHash' : 'id = :userId';
  await em.execute(
    `update ${table} set failed_attempts = greatest(failed_attempts - 1, 0),
       locked_until = case when failed_attempts - 1 >= :maxAttempts then locked_until end
     where ${where}`,
    { userId, identifierHash, maxAttempts },
  );
}

export interface AttemptedAccount {
  readonly id: string;
  /** The lock that this attempt has set is still there: a success in between lifts it, and UnlockUser too. */
  readonly lockStands: boolean;
}

/** The account of a claimed attempt, unless it has been deleted since or never existed: a look that costs the same either way. */
export async function lockAccountOf(em: EntityManager, { userId, lockedUntil }: ClaimedAttempt): Promise<AttemptedAccount | undefined> {
  const rows = await em.execute<{ id: string; lock_stands: boolean }[]>(
    `select id, coalesce(locked_until = cast(:lockedUntil as timestamptz), false) as lock_stands
     from users where id = cast(:userId as uuid) for update`,
    { userId, lockedUntil },
  );
  return rows[0] && { id: rows[0].id, lockStands: rows[0].lock_stands };
}

/** Deletes up to `limit` counts of accounts that do not exist, with no attempt since then. */
export async function deleteUnknownLogins(em: EntityManager, before: Date, limit: number): Promise<number> {
  const deleted = await em.execute(
    `delete from unknown_logins where identifier_hash in
       (select identifier_hash from unknown_logins where last_failed_at < ? limit ? for update skip locked) returning 1`,
    [before, limit],
  );
  return deleted.length;
}
