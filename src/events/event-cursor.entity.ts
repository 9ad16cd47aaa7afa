import { defineEntity, p } from '@mikro-orm/postgresql';

const EventCursorSchema = defineEntity({
  name: 'EventCursor',
  tableName: 'event_cursors',
  properties: {
    consumer: p.string().length(100).primary(),
    /** Of the last event that it has dealt with. */
    position: p.bigint('number').default(0),
  },
});

/**
 * The position up to which a consumer has seen the events. The replica that holds the lock on the row works for all.
 */
export class EventCursor extends EventCursorSchema.class {}
EventCursorSchema.setClass(EventCursor);
