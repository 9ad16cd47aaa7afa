import type { EntityManager } from '@mikro-orm/postgresql';
import { actorOf, type Call } from '../call/call.ts';
import { isEventType } from '../events/event-types.ts';
import { ERASED } from './audit-event.repository.ts';
import type { Occurrence } from './audit-log.ts';

/** What `record` writes, for many occurrences at once and right away: two statements, however many there are. */
export async function recordAll(em: EntityManager, call: Call, occurrences: readonly Occurrence[]): Promise<void> {
  if (occurrences.length === 0) return;
  const rows = occurrences.map(({ type, userId = null, metadata = {} }) => ({ type, user_id: userId, metadata }));
  const { caller } = call;
  const by = caller.kind === 'user' ? caller.userId : null;
  await em.execute(
    // Whoever is gone is not named any more; the lock waits for the erasure (see actorToInsert).
    `with actor as materialized (
       select case when ?::uuid is null then ? else coalesce((select 'user:' || id from users where id = ? for key share), '${ERASED}') end as name
     )
     insert into audit_events (type, user_id, actor, occurred_at, metadata)
     select type, user_id, (select name from actor), ?, metadata
     from json_to_recordset(?) as given (type text, user_id uuid, metadata jsonb)`,
    [by, actorOf(call), by, call.now(), JSON.stringify(rows)],
  );
  const events = rows.filter(({ type }) => isEventType(type));
  if (events.length === 0) return;
  await em.execute(
    `insert into events (type, user_id, payload, occurred_at)
     select type, user_id, metadata, ? from json_to_recordset(?) as given (type text, user_id uuid, metadata jsonb)`,
    [call.now(), JSON.stringify(events)],
  );
}
