import type { Pool, PoolClient, QueryResult, QueryResultRow } from 'pg';

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

interface Query extends PreparedStatement {
  readonly values: unknown[];
  readonly rowMode?: string;
}

/**
 * Runs prepared statements, each on a connection of its own and as a transaction of its own, beside the unit of work. The query timeout of
 * the pool bounds all of them.
 */
export class PreparedStatements {
  readonly #pool: Pool;
  readonly #signal: AbortSignal | undefined;

  constructor(pool: Pool, signal?: AbortSignal) {
    this.#pool = pool;
    this.#signal = signal;
  }

  /** The same for a call: what runs is cancelled (SQLSTATE 57014) when the signal is aborted, and nothing has happened then. */
  until(signal: AbortSignal): PreparedStatements {
    return new PreparedStatements(this.#pool, signal);
  }

  run<Row extends QueryResultRow>(statement: PreparedStatement, values: unknown[]): Promise<Row[]> {
    return this.#run<Row>({ ...statement, values });
  }

  /** Gives each row as a list of its cells, in the order of the columns: cheaper to read than objects, where there are many rows. */
  runForCells<Cells extends unknown[]>(statement: PreparedStatement, values: unknown[]): Promise<Cells[]> {
    return this.#run<Cells>({ ...statement, values, rowMode: 'array' });
  }

  async #run<Row>(query: Query): Promise<Row[]> {
    const { rows } = await (this.#signal ? this.#runUntil(this.#signal, query) : this.#pool.query(query));
    return rows as Row[];
  }

  async #runUntil(signal: AbortSignal, query: Query): Promise<QueryResult> {
    const connection = await this.#pool.connect();
    let cancelled: Promise<unknown> | undefined;
    const cancel = () => {
      cancelled = this.#cancel(connection);
    };
    try {
      signal.throwIfAborted();
      signal.addEventListener('abort', cancel, { once: true });
      return await connection.query(query);
    } finally {
      signal.removeEventListener('abort', cancel);
      // Not before: what is cancelled is whatever runs on the connection, and that could be somebody else's by then.
      await cancelled;
      connection.release();
    }
  }

  /**
   * Cancels the statement of a connection. If no connection is free to cancel over, it ends by itself, or by the query
   * timeout.
   */
  async #cancel(connection: PoolClient): Promise<void> {
    const pid = backendOf(connection);
    if (pid !== undefined) await this.#pool.query('select pg_cancel_backend($1)', [pid]).catch(() => undefined);
  }
}

/**
 * The process of the server behind a connection. `pg` has it, and its types do not; where it is not there, statements end by the query
 * timeout alone. A test holds that the cancellation works.
 */
function backendOf(connection: PoolClient): number | undefined {
  const { processID } = connection as { readonly processID?: unknown };
  return typeof processID === 'number' ? processID : undefined;
}
