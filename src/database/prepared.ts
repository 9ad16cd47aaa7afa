import type { Pool, PoolClient, QueryResultRow } from 'pg';

/** A statement that each connection parses and plans once. For the few calls that are made all the time: it costs a fraction of the ORM. */
export interface PreparedStatement {
  /** Unique in the service, and another one when the text changes. */
  readonly name: string;
  readonly text: string;
}

/**
 * The first value, which is a list, as a part of a statement. PostgreSQL does not see how many there are behind a `select`. It would plan a
 * statement for few of them anew each time, because that promises less work than a plan for any number; and planning takes longer than the rest.
 */
export const listOf = (type: 'uuid' | 'bytea' | 'text') => `(select $1::${type}[])::${type}[]`;

/** Runs a statement on a connection of its own, outside of any unit of work. Bounded by the query timeout of the pool. */
export async function runPrepared<Row extends QueryResultRow>(
  pool: Pool,
  { name, text }: PreparedStatement,
  values: unknown[],
): Promise<Row[]> {
  return (await pool.query<Row>({ name, text, values })).rows;
}

/** The same with each row as a list of its cells, in the order of the columns: cheaper to read than objects, where there are many rows. */
export async function runPreparedForCells<Cells extends unknown[]>(
  pool: Pool,
  { name, text }: PreparedStatement,
  values: unknown[],
): Promise<Cells[]> {
  return (await pool.query<Cells>({ name, text, values, rowMode: 'array' })).rows;
}

/** As `runPrepared`, for what nobody wants any more when the signal is aborted: it ends with SQLSTATE 57014, and nothing has happened. */
export async function runPreparedUntil<Row extends QueryResultRow>(
  signal: AbortSignal,
  pool: Pool,
  { name, text }: PreparedStatement,
  values: unknown[],
): Promise<Row[]> {
  const connection = await pool.connect();
  let cancelled: Promise<unknown> | undefined;
  const cancel = () => {
    cancelled = cancelOn(connection, pool);
  };
  try {
    signal.throwIfAborted();
    signal.addEventListener('abort', cancel, { once: true });
    return (await connection.query<Row>({ name, text, values })).rows;
  } finally {
    signal.removeEventListener('abort', cancel);
    // Not before: what is cancelled is whatever runs on the connection, and that could be somebody else's by then.
    await cancelled;
    connection.release();
  }
}

/** Where no connection is free to cancel over, the statement ends by itself, or by the query timeout. */
async function cancelOn(connection: PoolClient, pool: Pool): Promise<void> {
  const { processID } = connection as unknown as { readonly processID: number };
  await pool.query('select pg_cancel_backend($1)', [processID]).catch(() => undefined);
}
