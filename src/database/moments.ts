import type { EntityManager } from '@mikro-orm/postgresql';

/** A column of a table that says when something was last seen, by the id of the row. */
export interface MomentColumn {
  readonly table: string;
  readonly column: string;
}

/**
 * Moves moments on, where nobody has done so within the resolution; never back. In one statement, in the order of the ids, so that two
 * replicas do not wait for each other.
 */
export async function moveMoments(
  em: EntityManager,
  { table, column }: MomentColumn,
  moments: ReadonlyMap<string, Date>,
  resolutionMs: number,
): Promise<void> {
  const rows = [...moments].toSorted(([a], [b]) => (a < b ? -1 : 1));
  const values = rows.map(() => '(cast(? as uuid), cast(? as timestamptz))').join(', ');
  await em.execute(
    `update ${table} set ${column} = seen.at from (values ${values}) as seen (id, at)
     where ${table}.id = seen.id and (${column} is null or ${column} < seen.at - ? * interval '1 millisecond')`,
    [...rows.flat(), resolutionMs],
  );
}

/** SQL for a moment as RFC 3339 text, to the millisecond and in UTC, as JavaScript writes it. */
export function rfc3339(column: string): string {
  return rfc3339As(column, column);
}

/** The same for a moment that is not the column by whose name it is told. */
export function rfc3339As(column: string, moment: string): string {
  return `to_char(${moment} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as ${column}`;
}
