import type { EntityManager } from '@mikro-orm/postgresql';
import { rfc3339 } from '../database/moments.ts';
import type { PreparedStatements } from '../database/prepared.ts';
import type { CleanupStep } from '../jobs/cleanup.ts';
import type { Event } from './event.entity.ts';

/** In one statement, in this order. Each gets its position when the transaction commits (ADR 9). */
export async function insertEvents(em: EntityManager, events: readonly Omit<SeenEvent, 'position'>[]): Promise<void> {
  await em.execute(
    `insert into events (type, user_id, payload, occurred_at)
     select type, "userId", payload, "occurredAt"
     from json_to_recordset(?) as given (type text, "userId" uuid, payload jsonb, "occurredAt" timestamptz)`,
    [JSON.stringify(events)],
  );
}

/**
 * Tells whether there are events that a consumer has not seen. It is asked all the time, so it costs no transaction; and it asks for the last
 * position alone: behind `position > …` PostgreSQL expects a third of the table, and reads all of it where nothing is new.
 */
export async function hasEventsFor(em: EntityManager, consumer: string): Promise<boolean> {
  const rows = await em.execute<{ due: boolean }[]>(
    `select coalesce((select position from events order by position desc limit 1)
       > (select position from event_cursors where consumer = ?), false) as due`,
    [consumer],
  );
  return rows[0]?.due === true;
}

/** More unseen events than these are counted as so many. */
export const MAX_COUNTED_EVENTS = 10_000;

/** The number of events that a consumer has not seen, up to a bound: a count of millions would be a load of its own. */
export async function countUnseenEvents(em: EntityManager, consumer: string): Promise<number> {
  const rows = await em.execute<{ count: number }[]>(
    `select count(*)::int as count from (
       select from events where position > (select position from event_cursors where consumer = ?) order by position limit ?
     ) unseen`,
    [consumer, MAX_COUNTED_EVENTS],
  );
  return rows[0]?.count ?? 0;
}

/**
 * The position of a consumer, unless another replica works for it just now. Nobody else does before the transaction
 * ends.
 */
export async function lockCursor(em: EntityManager, consumer: string): Promise<number | undefined> {
  const sql = 'select position::float8 as position from event_cursors where consumer = ? for update skip locked';
  const rows = await em.execute<{ position: number }[]>(sql, [consumer]);
  return rows[0]?.position;
}

export async function moveCursor(em: EntityManager, consumer: string, position: number): Promise<void> {
  await em.execute('update event_cursors set position = ? where consumer = ?', [position, consumer]);
}

/** As a consumer sees it: events are many, so they are no entities. */
export type SeenEvent = Pick<Event, 'position' | 'type' | 'userId' | 'payload' | 'occurredAt'>;

/** In the order in which they were committed: that of the column, for the name alone would mean the number that is answered, and a sort. */
export async function findEventsAfter(em: EntityManager, position: number, limit: number): Promise<SeenEvent[]> {
  const events = await em.execute<(Omit<SeenEvent, 'occurredAt'> & { readonly occurredAt: string })[]>(
    `select position::float8 as position, type, user_id as "userId", payload, occurred_at as "occurredAt"
     from events where position > ? order by events.position limit ?`,
    [position, limit],
  );
  return events.map((event) => ({ ...event, occurredAt: new Date(event.occurredAt) }));
}

/** Forgets what only one consumer had to know, and knows now. */
export async function dropFromPayload(em: EntityManager, position: number, key: string): Promise<void> {
  await em.execute('update events set payload = payload - cast(? as text) where position = ?', [key, position]);
}

/** An occurrence, and the user that it is about. */
export type ToldEvent = Pick<Event, 'type' | 'userId' | 'payload'>;

/** The same, and where it stands in the order of commits. */
export type PositionedEvent = ToldEvent & Pick<Event, 'position'>;

const LAST = { name: 'events.last-position', text: 'select coalesce(max(position), 0)::float8 as position from events' };

/** The position of the latest event; 0 where there is none. */
export async function lastPosition(db: PreparedStatements): Promise<number> {
  const [row] = await db.run<{ position: number }>(LAST, []);
  return row?.position ?? 0;
}

/**
 * Deletes up to `limit` events that happened before then and that every consumer has seen. It looks at the `limit` oldest alone: where these
 * are still to be kept, so are the others.
 */
export async function deleteOldEvents(em: EntityManager, before: Date, limit: number): Promise<number> {
  const deleted = await em.execute(
    `delete from events where position in (
       select position from (select position, occurred_at from events order by position limit ?) oldest
       where occurred_at < ? and position <= (select min(position) from event_cursors)
     ) returning 1`,
    [limit, before],
  );
  return deleted.length;
}

/** Exports what those who follow the events were told about a user. */
function exportEvents(em: EntityManager, userId: string, limit: number): Promise<Record<string, string | Record<string, string>>[]> {
  return em.execute(`select type, payload, ${rfc3339('occurred_at')} from events where user_id = ? order by position limit ?`, [
    userId,
    limit,
  ]);
}

/** As users/personal-data.ts has it, which this room does not know. */
export const eventPersonalData = [{ kind: 'events', export: exportEvents }];

/** Long enough for a consumer that was away over the weekend; the audit trail is what remembers. */
const KEPT_MS = 7 * 86_400_000;

export const eventCleanup: readonly CleanupStep[] = [
  { name: 'old_events', run: (em, now, limit) => deleteOldEvents(em, new Date(now.getTime() - KEPT_MS), limit) },
];
