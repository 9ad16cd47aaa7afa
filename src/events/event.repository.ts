import { type EntityManager, LockMode } from '@mikro-orm/postgresql';
import type { Pool } from 'pg';
import { Event } from './event.entity.ts';
import { EventCursor } from './event-cursor.entity.ts';

/** Whether there are events that a consumer has not seen. Asked all the time, so it costs no transaction. */
export async function hasEventsFor(em: EntityManager, consumer: string): Promise<boolean> {
  const rows = await em.execute<{ due: boolean }[]>(
    'select exists (select from events where position > (select position from event_cursors where consumer = ?)) as due',
    [consumer],
  );
  return rows[0]?.due === true;
}

/** How many events a consumer has not seen. */
export async function countUnseenEvents(em: EntityManager, consumer: string): Promise<number> {
  const rows = await em.execute<{ count: number }[]>(
    'select count(*)::int as count from events where position > (select position from event_cursors where consumer = ?)',
    [consumer],
  );
  return rows[0]?.count ?? 0;
}

/** The cursor of a consumer, unless another replica works with it just now. */
export function takeCursor(em: EntityManager, consumer: string): Promise<EventCursor | null> {
  return em.findOne(EventCursor, { consumer }, { lockMode: LockMode.PESSIMISTIC_PARTIAL_WRITE });
}

/** In the order in which they were committed. */
export function findEventsAfter(em: EntityManager, position: number, limit: number): Promise<Event[]> {
  return em.find(Event, { position: { $gt: position } }, { orderBy: { position: 'asc' }, limit });
}

/** What happened, and to whom. */
export type ToldEvent = Pick<Event, 'type' | 'userId' | 'payload'>;

/** The same, and where it stands in the order of commits. */
export type PositionedEvent = ToldEvent & Pick<Event, 'position'>;

/** Of the latest event; 0 where there is none. */
export async function lastPosition(pool: Pool): Promise<number> {
  const { rows } = await pool.query<{ position: number }>('select coalesce(max(position), 0)::float8 as position from events');
  return rows[0]?.position ?? 0;
}

/** Deletes up to `limit` events that happened before then and that every consumer has seen. */
export async function deleteOldEvents(em: EntityManager, before: Date, limit: number): Promise<number> {
  const deleted = await em.execute(
    `delete from events where position in (
       select position from events where occurred_at < ? and position <= (select min(position) from event_cursors)
       order by position limit ?
     ) returning 1`,
    [before, limit],
  );
  return deleted.length;
}
