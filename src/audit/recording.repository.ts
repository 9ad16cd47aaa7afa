import { actorOf, type Call } from '../call/call.ts';
import { EVENT_TYPES } from '../events/event-types.ts';
import { ERASED } from './audit-event.repository.ts';
import type { Occurrence } from './audit-log.ts';

/** Who calls, for a statement that writes down what they do. */
export interface RecordedBy {
  /** The user, if it is one. */
  readonly callerId: string | null;
  readonly actor: string;
}

export function recordedBy(call: Pick<Call, 'caller'>): RecordedBy {
  return { callerId: call.caller.kind === 'user' ? call.caller.userId : null, actor: actorOf(call) };
}

/** What was written down by a statement of its own, past the unit of work. */
export type Recorded = Required<Pick<Occurrence, 'type' | 'userId' | 'metadata'>>;

const FOLLOWED = EVENT_TYPES.map((type) => `'${type}'`).join(', ');

export interface RecordingParameters {
  /** Of RecordedBy. Whoever is gone is not named any more, and the lock waits for the erasure (see actorToInsert). */
  readonly callerId: string;
  readonly actor: string;
  readonly now: string;
}

/**
 * What `record` does, for a statement that does everything at once: parts of its WITH. They write down, in this order, the rows of the part
 * `occurrences`, which has the columns type, user_id, ip_address, user_agent, device_name and metadata.
 */
export const recording = ({ callerId, actor, now }: RecordingParameters): string => `
    actor as materialized (
      select case when ${callerId}::uuid is null then ${actor}
        else coalesce((select 'user:' || id from users where id = ${callerId} for key share), '${ERASED}') end as name
    ),
    audited as (
      insert into audit_events (type, user_id, actor, ip_address, user_agent, device_name, occurred_at, metadata)
      select type, user_id, (select name from actor), ip_address, user_agent, device_name, ${now}, metadata from occurrences
    ),
    published as (
      insert into events (type, user_id, payload, occurred_at)
      select type, user_id, metadata, ${now} from occurrences where type in (${FOLLOWED})
    )`;
