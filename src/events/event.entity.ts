import { defineEntity, p } from '@mikro-orm/postgresql';
import { moment } from '../database/columns.ts';

/**
 * Gives an event its final position when its transaction commits, one transaction after the other (the lock is held from here until the
 * commit is visible): a position is never seen before a lower one. A sequence alone would not do: a lower number can commit later. In the
 * schema it is a deferred constraint trigger, which the ORM cannot say; see the migration.
 */
const BODY =
  "perform pg_advisory_xact_lock(hashtextextended('identity.events', 0)); update events set position = nextval('events_position_seq') where position = NEW.position; RETURN NULL";

const EventSchema = defineEntity({
  name: 'Event',
  tableName: 'events',
  properties: {
    /** Ascending in the order of commits; numbers may be missing. */
    position: p.bigint('number').primary().autoincrement(),
    type: p.string().length(100),
    /** Not a reference: that a user was deleted must be told after the user is gone. */
    userId: p.uuid().nullable(),
    /** Never personal data in the clear: events outlive the user. */
    payload: p.json<Record<string, string>>().defaultRaw(`'{}'::jsonb`),
    occurredAt: moment(),
  },
  indexes: [{ name: 'events_occurred_at_idx', properties: ['occurredAt'], type: 'brin' }],
  triggers: [{ name: 'position', timing: 'after', events: ['insert'], forEach: 'row', body: BODY }],
});

/** A committed change, for whoever follows them. Written in the transaction of the change. */
export class Event extends EventSchema.class {}
EventSchema.setClass(Event);
