import type { EntityManager } from '@mikro-orm/postgresql';
import type { PreparedStatement, PreparedStatements } from '../../database/prepared.ts';
import { counters, FORGOTTEN, RELEASED } from './attempt-counters.ts';
import { devicesKeptSince, MAX_CONSECUTIVE_FAILURES, type Refusal } from './lockout-policy.ts';

/** The account that somebody tries to enter, and the device that they say they are on. */
export interface Target {
  readonly column: 'email' | 'username' | 'id';
  readonly value: string;
  /** Stands for column and value. */
  readonly hash: Buffer;
  readonly deviceHash: Buffer | null;
}

export interface AttemptLimits {
  readonly now: Date;
  readonly maxAttempts: number;
}

/** An attempt that was claimed before its password is looked at. */
export interface ClaimedAttempt {
  /** The account whose password decides. Null where there is none, or where it has no attempt left. */
  readonly userId: string | null;
  /** The account that was named, whether it has an attempt left or not. */
  readonly accountId: string | null;
  /** Of the account that was named: comparing takes as long with an attempt left as without. Null where it has no password. */
  readonly passwordHash: string | null;
  /** False where nothing may match: the account has no attempt left, or is deactivated. */
  readonly decides: boolean;
  /** The identifier under which it was made; null where the account was named by its id. */
  readonly identifierHash: Buffer | null;
  /** The known device on which it was made: then neither identifier nor account count it. */
  readonly deviceHash: Buffer | null;
}

interface ClaimRow {
  claimed: boolean;
  user_id: string | null;
  account_id: string | null;
  password_hash: string | null;
  is_active: boolean | null;
  identifier_hash: Buffer | null;
  on_device: boolean;
  /** The driver's text form; rows of raw queries are not hydrated. */
  locked_until: string | null;
  consecutive_failures: number | null;
  certain: boolean | null;
}

/** An attempt that was refused, and the counts that have done so. */
export interface RefusedAttempt extends Refusal {
  /** The counts were seen to leave no attempt. Otherwise something has changed while the claim waited for a row, and it is worth another look. */
  readonly certain: boolean;
}

/**
 * Claims an attempt in one guarded statement: of any number of parallel attempts only as many get through as may still fail.
 *
 * Attempts on a known device are counted by its token alone. All others are counted twice. The identifier's counters decide what is answered, and
 * are the same whether an account has it or not. The account's counters decide whether a password can match: where they allow no more, the
 * attempt fails as it would for an identifier that nobody has, and takes as long as before.
 */
export async function claimAttempt(
  db: PreparedStatements,
  { column, value, hash, deviceHash }: Target,
  { now, maxAttempts }: AttemptLimits,
): Promise<ClaimedAttempt | RefusedAttempt> {
  const values = [value, now, maxAttempts, deviceHash, devicesKeptSince(now)];
  const [row] = await db.run<ClaimRow>(CLAIM[column], column === 'id' ? values : [...values, hash]);
  if (!row?.claimed) {
    const lockedUntil = row?.locked_until ? new Date(row.locked_until) : null;
    return { lockedUntil, consecutiveFailures: row?.consecutive_failures ?? 0, certain: row?.certain ?? false };
  }
  const { user_id: userId, account_id: accountId, password_hash: passwordHash } = row;
  const named = { userId, accountId, passwordHash, decides: userId !== null && row.is_active === true };
  return row.on_device
    ? { ...named, identifierHash: null, deviceHash }
    : { ...named, identifierHash: row.identifier_hash, deviceHash: null };
}

export const isClaimed = (attempt: ClaimedAttempt | RefusedAttempt): attempt is ClaimedAttempt => 'userId' in attempt;

/**
 * The commit of a claim does not wait for the disk: that of what becomes of the attempt does, for all that was written before it. So nobody
 * gets an answer to an attempt that a crash could still undo.
 */
const WITHOUT_THE_DISK = `set_config('synchronous_commit', 'off', true) is not null`;

const CLAIM_PARAMETERS = { now: '$2::timestamptz', maxAttempts: '$3::int' };

const claiming = (table: string) => counters(table, CLAIM_PARAMETERS);

/** A token of another account, one that was voided and one that has failed too often are like none. */
const onDevice = (column: Target['column']) => `
  account as (select id, password_hash, is_active from users where ${column} = $1),
  device as (
    select token_hash, locked_until, consecutive_failures, ${claiming('device_tokens').free} as free from device_tokens
    where token_hash = $4::bytea and user_id = (select id from account)
      and consecutive_failures < ${MAX_CONSECUTIVE_FAILURES} and last_used_at > $5::timestamptz
  ),
  claimed_device as (
    update device_tokens set ${claiming('device_tokens').claimed}
    where token_hash = (select token_hash from device) and ${claiming('device_tokens').free} and ${WITHOUT_THE_DISK}
    returning user_id
  )`;

const claimByIdentifier = (column: Target['column']): PreparedStatement => ({
  name: `lockout.claim-by-${column}`,
  text: `
    with ${onDevice(column)},
    -- Who has the identifier is a part of the key: what was tried before somebody registered it counts no more.
    key as (select coalesce((select sha256($6::bytea || uuid_send(id)) from account), $6::bytea) as identifier_hash),
    identifier as (
      select locked_until, consecutive_failures, ${claiming('attempted_identifiers').free} as free
      from attempted_identifiers where identifier_hash = (select identifier_hash from key)
    ),
    -- The account is locked before its identifier, as everywhere: those who hold it want the identifier next. Nobody is held up for a refusal.
    held as (
      select id, password_hash, is_active from users
      where ${column} = $1 and not exists (select from device) and not exists (select from identifier where not free)
      for no key update
    ),
    claimed_identifier as (
      insert into attempted_identifiers (identifier_hash, user_id, attempts_in_flight, attempted_at)
      select identifier_hash, (select id from held), 1, now() from key
      where not exists (select from device) and not exists (select from identifier where not free) and ${WITHOUT_THE_DISK}
      on conflict (identifier_hash) do update set ${claiming('attempted_identifiers').claimed}
      where ${claiming('attempted_identifiers').free}
      returning identifier_hash
    ),
    claimed_account as (
      update users set ${claiming('users').claimed}
      where id = (select id from held) and exists (select from claimed_identifier) and ${claiming('users').free}
      returning id
    )
    select exists (select from claimed_device) or exists (select from claimed_identifier) as claimed,
      exists (select from claimed_device) as on_device,
      coalesce((select user_id from claimed_device), (select id from claimed_account)) as user_id,
      named.id as account_id, named.password_hash, named.is_active,
      (select identifier_hash from claimed_identifier) as identifier_hash,
      locked_until, consecutive_failures, not free as certain
    from (select) as answer left join (
      select locked_until, consecutive_failures, free from device
      union all
      select locked_until, consecutive_failures, free from identifier where not exists (select from device)
    ) as refusing on true
    -- As it is once it is held: a password may have changed while the claim waited for it.
    left join (
      select * from held union all select * from account where not exists (select from held)
    ) as named on true`,
});

/** The account is named outright, to callers who may know that it exists: its own counters decide what is answered, too. */
const CLAIM_BY_ID: PreparedStatement = {
  name: 'lockout.claim-by-id',
  text: `
    with ${onDevice('id')},
    claimed_account as (
      update users set ${claiming('users').claimed}
      where id = $1 and not exists (select from device) and ${claiming('users').free} and ${WITHOUT_THE_DISK}
      returning id, password_hash, is_active
    )
    select exists (select from claimed_device) or exists (select from claimed_account) or not exists (select from account) as claimed,
      exists (select from claimed_device) as on_device,
      coalesce((select user_id from claimed_device), (select id from claimed_account)) as user_id,
      named.id as account_id, named.password_hash, named.is_active,
      null::bytea as identifier_hash,
      locked_until, consecutive_failures, not free as certain
    from (select) as answer left join (
      select locked_until, consecutive_failures, free from device
      union all
      select locked_until, consecutive_failures, ${claiming('users').free} from users where id = $1 and not exists (select from device)
    ) as refusing on true
    left join (
      select * from claimed_account union all select * from account where not exists (select from claimed_account)
    ) as named on true`,
};

const CLAIM = { email: claimByIdentifier('email'), username: claimByIdentifier('username'), id: CLAIM_BY_ID } as const;

/** The account that counts an attempt. */
const countedBy = ({ userId, deviceHash }: ClaimedAttempt) => (deviceHash ? null : userId);

/** Takes an attempt back: its password was not compared, or was right. */
export async function releaseAttempt(em: EntityManager, attempt: ClaimedAttempt): Promise<void> {
  await em.execute(
    `with account as (update users set ${RELEASED('users')} where id = cast(:accountId as uuid) returning 1),
     device as (update device_tokens set ${RELEASED('device_tokens')} where token_hash = :deviceHash)
     -- The account first: see the claim.
     update attempted_identifiers set ${RELEASED('attempted_identifiers')}
     where identifier_hash = :identifierHash and (select count(*) from account) >= 0`,
    { accountId: countedBy(attempt), identifierHash: attempt.identifierHash, deviceHash: attempt.deviceHash },
  );
}

/** The things that a failure has changed about its account. */
export interface CountedFailure {
  /** A lock had run out before it. */
  readonly lockExpired: boolean;
  readonly locked: boolean;
}

const failing = (table: string) =>
  counters(table, { now: 'cast(:now as timestamptz)', maxAttempts: ':maxAttempts' }).failed('cast(:lockUntil as timestamptz)');

/** The attempt has failed: it counts, and the last one allowed locks. The same statement for an account that does not exist. */
export async function countFailure(
  em: EntityManager,
  attempt: ClaimedAttempt,
  { now, maxAttempts, lockUntil }: AttemptLimits & { readonly lockUntil: Date },
): Promise<CountedFailure> {
  const [counted] = await em.execute<{ lock_expired: boolean; locked: boolean }[]>(
    `with before as (select id, locked_until from users where id = cast(:accountId as uuid) for no key update),
     account as (
       update users set ${failing('users')} from before where users.id = before.id
       returning coalesce(before.locked_until <= cast(:now as timestamptz), false) as lock_expired,
         users.locked_until is not null and users.locked_until is distinct from before.locked_until as locked
     ),
     identifier as (
       update attempted_identifiers set ${failing('attempted_identifiers')}
       where identifier_hash = :identifierHash and (select count(*) from account) >= 0
     ),
     -- The audit trail refers to the account next, which whoever holds it does before they turn to its devices.
     holder as (select 1 from users where id = cast(:userId as uuid) for key share),
     device as (
       update device_tokens set ${failing('device_tokens')}
       where token_hash = :deviceHash and (select count(*) from holder) >= 0
     )
     select lock_expired, locked from account`,
    {
      accountId: countedBy(attempt),
      userId: attempt.deviceHash && attempt.userId,
      identifierHash: attempt.identifierHash,
      deviceHash: attempt.deviceHash,
      now,
      maxAttempts,
      lockUntil,
    },
  );
  return { lockExpired: counted?.lock_expired ?? false, locked: counted?.locked ?? false };
}

/**
 * Forgets the failures under all identifiers of an account, which the caller holds, and settles the attempt that was claimed under one of them.
 * Others that are in flight stay. Returns how many identifiers had failures.
 */
export async function forgetFailuresOfIdentifiers(em: EntityManager, userId: string, claimedHash: Buffer | null): Promise<number> {
  const rest = 'attempts_in_flight - case when identifier_hash = :claimedHash then 1 else 0 end';
  const rows = await em.execute<{ failed: boolean }[]>(
    `with settled as (
       update attempted_identifiers set ${FORGOTTEN}, attempts_in_flight = ${rest} where user_id = :userId and ${rest} > 0
     )
     delete from attempted_identifiers where user_id = :userId and ${rest} <= 0 returning consecutive_failures > 0 as failed`,
    { userId, claimedHash },
  );
  return rows.filter(({ failed }) => failed).length;
}

/** Ends the run of failures under all identifiers of an account; locks stay. */
export async function endRunOfIdentifiers(em: EntityManager, userId: string): Promise<void> {
  await em.execute('update attempted_identifiers set consecutive_failures = 0 where user_id = ? and consecutive_failures > 0', [userId]);
}

/** Deletes up to `limit` counts of identifiers that were not tried since then. */
export async function deleteForgottenIdentifiers(em: EntityManager, before: Date, limit: number): Promise<number> {
  const deleted = await em.execute(
    `delete from attempted_identifiers where identifier_hash in
       (select identifier_hash from attempted_identifiers where attempted_at < ? limit ? for update skip locked) returning 1`,
    [before, limit],
  );
  return deleted.length;
}
