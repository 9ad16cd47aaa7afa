import pg from 'pg';
import { expect, vi } from 'vitest';

/** A question to the database whose answer is kept from whoever has asked. */
export interface HeldAnswer {
  /** Until the database has answered: what is committed from then on is not in it. */
  answered(): Promise<void>;
  release(): void;
}

/**
 * Holds back the answer to the next statement that a pool itself is asked about a table with a list that has this value. What has to happen
 * between a query and what is made of its answer happens for certain.
 */
export function holdAnswer(table: string, value: string | Buffer): HeldAnswer {
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  let isAnswered = false;
  const original = pg.Pool.prototype.query as (...args: unknown[]) => Promise<unknown>;
  const spy = vi.spyOn(pg.Pool.prototype, 'query').mockImplementation(async function (this: pg.Pool, ...args: unknown[]) {
    const isSought = asks(args[0], table, value);
    if (isSought) spy.mockRestore();
    const answer = await original.apply(this, args);
    if (isSought) {
      isAnswered = true;
      await released;
    }
    return answer as never;
  } as never);
  return {
    answered: () => expect.poll(() => isAnswered, { interval: 5, timeout: 10_000 }).toBe(true),
    release,
  };
}

function asks(statement: unknown, table: string, value: string | Buffer): boolean {
  const { text = '', values = [] } = (statement ?? {}) as Partial<pg.QueryConfig>;
  if (!new RegExp(`\\b${table}\\b`).test(text)) return false;
  return values.some((list) => Array.isArray(list) && list.some((item) => Buffer.from(item).equals(Buffer.from(value))));
}
