import type pg from 'pg';
import type { Step } from '../observability/tracing/tracer.ts';
import { PoolConnection } from './pool-connection.ts';

/** The signs that a value may begin with. */
const QUOTE = /'|\$\w*\$/;
const TABLE = /\b(?:from|into|update)\s+"?([a-z_]\w*)"?/i;

/**
 * Connections that do each statement of the unit of work within a span. Statements that the pool itself is asked for
 * are up to `tracedPool`.
 */
export function tracedConnection(step: Step): typeof PoolConnection {
  return class extends PoolConnection {
    constructor(settings: pg.ClientConfig) {
      super(settings);
      const query = this.query.bind(this) as (...given: unknown[]) => Promise<unknown>;
      // The pool gives a callback, and runs in the context of whoever gave the connection back; a cursor is a stream.
      this.query = ((...given: unknown[]) => {
        const name = typeof given.at(-1) === 'function' ? undefined : nameOf(given[0]);
        return name === undefined ? query(...given) : traced(step, name, () => query(...given));
      }) as typeof this.query;
    }
  };
}

/** The pool, with a span for each statement, from the wait for a connection on. */
export function tracedPool(pool: pg.Pool, step: Step): pg.Pool {
  const query = pool.query.bind(pool) as (...given: unknown[]) => Promise<unknown>;
  const value = (...given: unknown[]) => traced(step, nameOf(given[0]) ?? 'statement', () => query(...given));
  return Object.create(pool, { query: { value } }) as pg.Pool;
}

function traced(step: Step, summary: string, run: () => Promise<unknown>): Promise<unknown> {
  return step(summary, run, { 'db.system.name': 'postgresql', 'db.query.summary': summary });
}

/** A prepared statement has a name of its own. */
function nameOf(query: unknown): string | undefined {
  if (typeof query === 'string') return summaryOf(query);
  const { name, text } = query as { readonly name?: string; readonly text?: unknown };
  return typeof text === 'string' && !('submit' in (query as object)) ? (name ?? summaryOf(text)) : undefined;
}

/**
 * `select users`: what is done, and to which table. The statement itself is nobody's business: the ORM writes the values into it. So nothing is
 * looked at behind the first quote that could begin one.
 */
export function summaryOf(statement: string): string {
  const head = statement.slice(0, 2000).split(QUOTE, 1)[0] as string;
  const operation = /^\s*(\w+)/.exec(head)?.[1]?.toLowerCase() ?? 'statement';
  const table = TABLE.exec(head)?.[1];
  return table === undefined ? operation : `${operation} ${table}`;
}
