import type { EntityManager } from '@mikro-orm/postgresql';
import { transaction } from '../database/transaction.ts';
import { findEventsAfter, hasEventsFor, lockCursor, moveCursor, type SeenEvent } from './event.repository.ts';

const BATCH = 100;

/**
 * The work of a consumer. It may run again for the same events if its transaction fails, so all that it does must be
 * part of that.
 */
export type HandleEvents = (em: EntityManager, events: readonly SeenEvent[]) => Promise<void>;

/**
 * Lets a consumer deal with the next events that it has not seen, in the order in which they were committed, without a gap: what it does and
 * how far it has come are committed together. Of several replicas one does so at a time; the others find nothing to do. Returns how many.
 */
export async function consumeEvents(em: EntityManager, consumer: string, handle: HandleEvents): Promise<number> {
  if (!(await hasEventsFor(em.fork(), consumer))) return 0;
  return transaction(em, async (em) => {
    const position = await lockCursor(em, consumer);
    const events = position === undefined ? [] : await findEventsAfter(em, position, BATCH);
    const last = events.at(-1);
    if (!last) return 0;
    await handle(em, events);
    await moveCursor(em, consumer, last.position);
    return events.length;
  });
}
