import type { PreparedStatement, PreparedStatements } from '../database/prepared.ts';
import type { PositionedEvent } from './event.repository.ts';

/** The epoch of authorization and the new events, as one snapshot shows them. */
export interface Changes {
  /**
   * Of authorization (see events/authorization-epoch.entity.ts), on this server: another one has begun at another moment, and may not have all
   * that the one before had committed (asynchronous replication, a restored backup).
   */
  readonly epoch: string;
  /** That of the latest event. It goes back only where events were lost. */
  readonly lastPosition: number;
  /** In the order in which they were committed. */
  readonly events: readonly PositionedEvent[];
}

/** A row for each event; where there are none, one for the epoch alone. */
const READ: PreparedStatement = {
  name: 'callers.read-changes',
  text: `
    select (select version::text from authorization_epoch) || ' ' || extract(epoch from pg_postmaster_start_time()) as epoch,
      (select coalesce(max(position), 0)::float8 from events) as last, position::float8 as position, type, user_id as "userId", payload
    from (values (1)) always
      left join (select * from events where position > $1 order by position limit $2) events on true
    order by position`,
};

type Row = { readonly epoch: string | null; readonly last: number } & (PositionedEvent | { readonly position: null });

/** The epoch, and up to `limit` events. Asked all the time, so without the unit of work. */
export async function readChangesAfter(db: PreparedStatements, position: number, limit: number): Promise<Changes> {
  const rows = await db.run<Row>(READ, [position, limit]);
  return { epoch: rows[0]?.epoch ?? '', lastPosition: rows[0]?.last ?? 0, events: rows.filter((row) => row.position !== null) };
}
