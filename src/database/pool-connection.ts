import type { Socket } from 'node:net';
import pg from 'pg';

/** How long saying goodbye to the server may take. */
const GOODBYE_MS = 1000;

const BEGIN = /^(begin|start transaction)\b/;
const ROLLBACK = /^rollback$/;

const NOTHING = { command: '', rowCount: null, rows: [] };

/**
 * A connection that leaves the pool when it is of no more use, instead of spoiling it:
 *
 * - When the database leaves a query unanswered for `query_timeout`, pg tells the caller and goes on with the connection. If that is dead
 *   (a failover that reset nothing), each query waits in vain behind the first one, and the pool never gets better. So it is given up.
 * - Kysely, below the ORM, never gives a connection back whose BEGIN or ROLLBACK fails, and the pool is one smaller for ever. So these two
 *   do not fail: the connection is given up, which rolls back, and whatever is to be run on it after BEGIN gets the failure.
 */
export class PoolConnection extends pg.Client {
  #givenUp: { readonly error: unknown } | undefined;

  constructor(config?: string | pg.ClientConfig) {
    super(config);
    // The pool listens, too, but not to the connections over which queries are cancelled; unheard, an error would end the process.
    this.on('error', () => undefined);
    const query = this.query.bind(this) as (...given: unknown[]) => unknown;
    this.query = ((...given: unknown[]) => {
      if (this.#givenUp) return this.#fail(given[0], this.#givenUp.error);
      const result = query(...given);
      return result instanceof Promise ? result.catch((error: unknown) => this.#fail(given[0], error)) : result;
    }) as typeof this.query;
  }

  async #fail(sql: unknown, error: unknown): Promise<unknown> {
    const [begins, rollsBack] = [BEGIN, ROLLBACK].map((pattern) => typeof sql === 'string' && pattern.test(sql));
    if (begins || rollsBack || isReadTimeout(error)) this.#giveUp(error);
    if (begins || rollsBack) return NOTHING;
    throw error;
  }

  /** The pool does not lend a connection again that is ending; and with a query still running, `end` does not wait for the server. */
  #giveUp(error: unknown): void {
    if (this.#givenUp) return;
    this.#givenUp = { error };
    void this.end();
  }

  /** A server that hangs does not answer the goodbye, either. */
  override end(): Promise<void>;
  override end(callback: (error: Error) => void): void;
  override end(callback?: (error: Error) => void): Promise<void> | void {
    const { stream } = (this as unknown as { readonly connection: { readonly stream: Socket } }).connection;
    const timer = setTimeout(() => stream.destroy(), GOODBYE_MS).unref();
    stream.once('close', () => clearTimeout(timer));
    return callback ? super.end(callback) : super.end();
  }
}

function isReadTimeout(error: unknown): boolean {
  return error instanceof Error && error.message === 'Query read timeout';
}
