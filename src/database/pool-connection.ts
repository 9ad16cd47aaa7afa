import { Socket } from 'node:net';
import pg from 'pg';

/** In which the server has to say goodbye. */
const GOODBYE_MS = 1000;

const BEGIN = /^(begin|start transaction)\b/;
const ROLLBACK = /^rollback$/;

/** As pg has it. */
const READ_TIMEOUT = 'Query read timeout';

const NOTHING = { command: '', rowCount: null, rows: [] };

/**
 * A connection that leaves the pool when it is of no more use, instead of spoiling it:
 *
 * - When the database leaves a query unanswered for `query_timeout`, the connection may be dead (a failover that reset nothing), and each query
 *   would wait in vain behind the first one: the pool would never get better. So it is given up. pg would tell the caller and go on with the
 *   connection; and its timer is a closure on each query, which keeps the query and its rows until a full collection (rpc/ended-calls.ts).
 * - Kysely, below the ORM, never gives a connection back whose BEGIN or ROLLBACK fails, and the pool is one smaller for ever. So these two
 *   do not fail: the connection is given up, which rolls back, and whatever is to be run on it after BEGIN gets the failure.
 */
export class PoolConnection extends pg.Client {
  /** TLS, where the database wants it, is spoken over this one, too. */
  readonly #socket: Socket;
  #givenUp: { readonly error: unknown } | undefined;

  /** pg hides the password in the settings of a pool: copying them does not find it. */
  constructor({ query_timeout: patienceMs, password, ...settings }: pg.ClientConfig) {
    const socket = new Socket();
    super({ ...settings, password, stream: () => socket });
    this.#socket = socket;
    // The pool listens, too, but not to the connections over which queries are cancelled; unheard, an error would end the process.
    this.on('error', () => undefined);
    const watch = () => (patienceMs ? setTimeout(this.#hangUp, patienceMs) : undefined);
    const query = this.query.bind(this) as (...given: unknown[]) => unknown;
    this.query = ((...given: unknown[]) => {
      if (this.#givenUp) return this.#fail(given[0], this.#givenUp.error);
      const callback = given.at(-1);
      if (typeof callback === 'function') {
        const timer = watch();
        const answered = (...answer: unknown[]) => {
          clearTimeout(timer);
          callback(...answer);
        };
        return query(...given.slice(0, -1), answered);
      }
      const result = query(...given);
      // A query object, as a cursor is one, tells by itself when it is done, and to whom it likes.
      if (!(result instanceof Promise)) return result;
      const timer = watch();
      return result.catch((error: unknown) => this.#fail(given[0], error)).finally(() => clearTimeout(timer));
    }) as typeof this.query;
  }

  /** Everything that runs on the connection fails with this. */
  readonly #hangUp = (): void => {
    this.#socket.destroy(new Error(READ_TIMEOUT));
  };

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
    const timer = setTimeout(() => this.#socket.destroy(), GOODBYE_MS).unref();
    this.#socket.once('close', () => clearTimeout(timer));
    return callback ? super.end(callback) : super.end();
  }
}

function isReadTimeout(error: unknown): boolean {
  return error instanceof Error && error.message === READ_TIMEOUT;
}
