import { EVENT_TYPES } from '../events/event-types.ts';
import type { Occurrence } from './audit-log.ts';

/** What was written down by a statement of its own, past the unit of work. */
export type Recorded = Required<Pick<Occurrence, 'type' | 'userId' | 'metadata'>>;

const FOLLOWED = EVENT_TYPES.map((type) => `'${type}'`).join(', ');

/**
 * What `record` does, for a statement that does everything at once: parts of its WITH. They write down, in this order, the rows of the part
 * `occurrences`, which has the columns type, user_id, ip_address, user_agent, device_name and metadata. `actor` and `now` are parameters.
 */
export const recording = ({ actor, now }: { readonly actor: string; readonly now: string }): string => `
    audited as (
      insert into audit_events (type, user_id, actor, ip_address, user_agent, device_name, occurred_at, metadata)
      select type, user_id, ${actor}, ip_address, user_agent, device_name, ${now}, metadata from occurrences
    ),
    published as (
      insert into events (type, user_id, payload, occurred_at)
      select type, user_id, metadata, ${now} from occurrences where type in (${FOLLOWED})
    )`;
