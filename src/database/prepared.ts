import type { Pool, QueryResultRow } from 'pg';

/** A statement that each connection parses and plans once. For the few calls that are made all the time: it costs a fraction of the ORM. */
export interface PreparedStatement {
  /** Unique in the service, and another one when the text changes. */
  readonly name: string;
  readonly text: string;
}

/** Runs a statement on a connection of its own, outside of any unit of work. Bounded by the query timeout of the pool. */
export async function runPrepared<Row extends QueryResultRow>(
  pool: Pool,
  { name, text }: PreparedStatement,
  values: unknown[],
): Promise<Row[]> {
  return (await pool.query<Row>({ name, text, values })).rows;
}
