import type { PreparedStatement, PreparedStatements } from '../database/prepared.ts';
import type { PositionedEvent } from './event.repository.ts';

/** The epoch of authorization and the new events, as one snapshot shows them. */
export interface Changes {
  /** Of authorization; see events/authorization-epoch.entity.ts. */
  readonly epoch: string;
  /** In the order in which they were committed. */
  readonly events: readonly PositionedEvent[];
}

/** A row for each event; where there are none, one for the epoch alone. */
const READ: PreparedStatement = {
  name: 'callers.read-changes',
  text: `
    select (select version::text from authorization_epoch) as epoch, position::float8 as position, type, user_id as "userId", payload
    from (values (1)) always
      left join (select * from events where position > $1 order by position limit $2) events on true
    order by position`,
};

type Row = { readonly epoch: string | null } & (PositionedEvent | { readonly position: null });

/** The epoch, and up to `limit` events. Asked all the time, so without the unit of work. */
export async function readChangesAfter(db: PreparedStatements, position: number, limit: number): Promise<Changes> {
  const rows = await db.run<Row>(READ, [position, limit]);
  return { epoch: rows[0]?.epoch ?? '', events: rows.filter((row) => row.position !== null) };
}
