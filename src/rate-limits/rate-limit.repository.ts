import type { EntityManager } from '@mikro-orm/postgresql';
import type { PreparedStatement, PreparedStatements } from '../database/prepared.ts';
import type { CleanupStep } from '../jobs/cleanup.ts';

/** The number of times that a key was counted in its window, which ends at `expire` (milliseconds since 1970). */
export interface Count {
  readonly key: string;
  readonly points: number;
  readonly expire: number;
}

/** A counter whose window has ended begins anew with the next one that is counted. */
const NEXT = (now: string) => `
      points = case when counted.expire <= ${now} then 1 else counted.points + 1 end,
      expire = case when counted.expire <= ${now} then excluded.expire else counted.expire end`;

const COUNT: PreparedStatement = {
  name: 'rate-limits.count',
  text: `
    insert into rate_limits as counted (key, points, expire)
    select key, 1, $2::bigint from unnest($1::text[]) as given (key)
    -- A call that is let through commits later, and that commit waits for the disk for all that was written before.
    where set_config('synchronous_commit', 'off', true) is not null
    on conflict (key) do update set ${NEXT('$3')}
    returning key, points, expire::float8 as expire`,
};

/** Counts one more of each, in windows that end at `windowEnd` if they begin now. Those who count several name them in the same order. */
export function countCalls(db: PreparedStatements, keys: readonly string[], now: number, windowEnd: number): Promise<Count[]> {
  return db.run(COUNT, [keys, windowEnd, now]);
}

const COUNT_RECIPIENT: PreparedStatement = {
  name: 'rate-limits.count-recipient',
  text: `
    insert into rate_limits as counted (key, points, expire, subjects)
    select $1, 1, $2::bigint, array[$4::text]
    -- The request that follows waits for the disk.
    where set_config('synchronous_commit', 'off', true) is not null
    on conflict (key) do update set
      subjects = case
        when counted.expire <= $3 then excluded.subjects
        when counted.subjects @> excluded.subjects or cardinality(counted.subjects) >= $5 then counted.subjects
        else counted.subjects || excluded.subjects end,
      ${NEXT('$3')}
    returning subjects @> array[$4::text] as within`,
};

export interface CountedRecipient {
  readonly key: string;
  readonly subject: string;
  /** The number of different subjects in a window. */
  readonly max: number;
}

/** Tells whether a subject is among the first that were counted under a key in its window, which ends at `windowEnd` if it begins now. */
export async function countRecipient(
  db: PreparedStatements,
  { key, subject, max }: CountedRecipient,
  now: number,
  windowEnd: number,
): Promise<boolean> {
  const [row] = await db.run<{ within: boolean }>(COUNT_RECIPIENT, [key, windowEnd, now, subject, max]);
  return row?.within === true;
}

/** A counter, and the end of its window if that begins now. */
export interface Counter {
  readonly key: string;
  readonly windowEnd: number;
}

export interface CountedMail {
  readonly pause: Counter;
  readonly day: Counter;
  readonly now: number;
}

/** Counts a mail, unless there was one within its pause: returns its number in the day, or infinity. */
export async function countMail(em: EntityManager, { pause, day, now }: CountedMail): Promise<number> {
  const rows = await em.execute<{ points: number }[]>(
    `with pause as (
       insert into rate_limits as counted (key, points, expire) values (:pauseKey, 1, :pauseEnd)
       on conflict (key) do update set ${NEXT(':now')}
       returning points
     )
     insert into rate_limits as counted (key, points, expire) select cast(:dayKey as text), 1, cast(:dayEnd as bigint) from pause where points = 1
     on conflict (key) do update set ${NEXT(':now')}
     returning points`,
    { pauseKey: pause.key, pauseEnd: pause.windowEnd, dayKey: day.key, dayEnd: day.windowEnd, now },
  );
  return rows[0]?.points ?? Number.POSITIVE_INFINITY;
}

/** Deletes up to `limit` counters whose window ended before then. */
export async function deleteExpiredRateLimits(em: EntityManager, before: Date, limit: number): Promise<number> {
  const deleted = await em.execute(
    'delete from rate_limits where key in (select key from rate_limits where expire < ? limit ? for update skip locked) returning 1',
    [before.getTime(), limit],
  );
  return deleted.length;
}

/** The counters of every address and identifier that was ever tried; those of a window that is over count nothing any more. */
export const rateLimitCleanup: readonly CleanupStep[] = [{ name: 'expired_rate_limits', run: deleteExpiredRateLimits }];
