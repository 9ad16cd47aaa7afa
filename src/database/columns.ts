import { p } from '@mikro-orm/postgresql';

/** A random UUID (version 4), made by the application so that rows can refer to each other before they are flushed. */
export const id = () =>
  p
    .uuid()
    .primary()
    .defaultRaw('gen_random_uuid()')
    .onCreate(() => crypto.randomUUID());

/** A moment in UTC, to the millisecond: the precision that a JavaScript Date keeps, so a round trip changes nothing. */
export const moment = () => p.datetime(3).columnType('timestamptz(3)');

/** Set by the database when the row is inserted. */
export const insertedAt = () => moment().defaultRaw('now()');
