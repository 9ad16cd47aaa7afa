import type { EntityManager, EventSubscriber, FlushEventArgs, TransactionEventArgs } from '@mikro-orm/postgresql';
import { actorOf, type Call } from '../call/call.ts';
import { type Client, NO_CLIENT } from '../call/client.ts';
import { insertEvents, type ToldEvent } from '../events/event.repository.ts';
import { insertAuditEvents } from './audit-event.repository.ts';
import { type AuditEventType, isPublished } from './audit-event-types.ts';

/** The caller, and the clock. */
export type Deed = Pick<Call, 'caller' | 'now'>;

export interface Occurrence {
  readonly type: AuditEventType;
  /** The user it is about; absent where nobody may be named. */
  readonly userId?: string;
  readonly client?: Client;
  /** Never personal data: it outlives the user. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** The user it is about, for the consumers of events alone: the audit trail does not name who was erased. */
  readonly erasedUserId?: string;
  /** Data that only the consumers of events need, beside the metadata. */
  readonly payload?: Record<string, string>;
}

/** An occurrence that has been written down and committed. */
export interface Recorded {
  readonly type: AuditEventType;
  /** The event in the events table; absent for a type that is not published. */
  readonly event?: ToldEvent;
}

interface Entry extends Required<Pick<Occurrence, 'type' | 'client' | 'metadata' | 'payload'>> {
  readonly userId: string | null;
  readonly toldUserId: string | null;
  /** The caller, if it is a user: one who is erased by now is not named. */
  readonly callerId: string | null;
  readonly actor: string;
  readonly occurredAt: Date;
}

/**
 * Writes down what happened, for auditors and, where the type is published, for the consumers of events. It belongs to the unit of work: it
 * is committed, or rolled back, together with what it records.
 */
export function record(em: EntityManager, deed: Deed, occurrence: Occurrence): void {
  const log = [...em.getEventManager().getSubscribers()].find((subscriber) => subscriber instanceof AuditLog);
  if (!log) throw new Error('no audit log belongs to this unit of work');
  log.add(em, deed, occurrence);
}

/**
 * The only writer of the audit trail and of the events. It gathers what a unit of work records and writes it at the flush, after the rows that
 * it is about: two statements, however many occurrences there are. Once they are committed, `told` learns of each.
 */
export class AuditLog implements EventSubscriber {
  readonly #told: (recorded: Recorded) => void;
  readonly #gathered = new WeakMap<EntityManager, Entry[]>();
  readonly #written = new WeakMap<EntityManager, Entry[]>();

  constructor(told: (recorded: Recorded) => void = () => undefined) {
    this.#told = told;
  }

  add(em: EntityManager, deed: Deed, occurrence: Occurrence): void {
    const entry = entryOf(deed, occurrence);
    const others = this.#gathered.get(em);
    if (others) others.push(entry);
    else this.#gathered.set(em, [entry]);
  }

  async afterFlush({ em }: FlushEventArgs): Promise<void> {
    const context = em as EntityManager;
    const entries = this.#gathered.get(context);
    if (!entries) return;
    this.#gathered.delete(context);
    await insertAuditEvents(context, entries);
    const published = entries.filter(({ type }) => isPublished(type));
    if (published.length > 0) await insertEvents(context, published.map(toEvent));
    this.#written.set(context, [...(this.#written.get(context) ?? []), ...entries]);
  }

  afterTransactionCommit({ em }: TransactionEventArgs): void {
    const context = em as EntityManager;
    for (const entry of this.#written.get(context) ?? []) {
      this.#told({ type: entry.type, ...(isPublished(entry.type) && { event: toEvent(entry) }) });
    }
    this.#written.delete(context);
  }
}

function entryOf(deed: Deed, { type, userId, client = NO_CLIENT, metadata = {}, erasedUserId, payload = {} }: Occurrence): Entry {
  const { caller } = deed;
  return {
    type,
    userId: userId ?? null,
    toldUserId: userId ?? erasedUserId ?? null,
    callerId: caller.kind === 'user' ? caller.userId : null,
    actor: actorOf(deed),
    client,
    occurredAt: deed.now(),
    metadata,
    payload,
  };
}

function toEvent({ type, toldUserId, metadata, payload, occurredAt }: Entry) {
  return { type, userId: toldUserId, payload: { ...metadata, ...payload }, occurredAt };
}
