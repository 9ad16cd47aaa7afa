import pg from 'pg';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { openServiceOrm } from '../../src/app/orm.ts';
import type { Orm } from '../../src/database/orm.ts';
import { poolOf } from '../../src/database/orm.ts';
import { PreparedStatements } from '../../src/database/prepared.ts';
import { readChangesAfter } from '../../src/events/change.repository.ts';
import { countUnseenEvents, deleteOldEvents, findEventsAfter, hasEventsFor, lastPosition } from '../../src/events/event.repository.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';

/** Enough that a plan which reads all of them costs more than one by the index, and few enough to be made in a second. */
const EVENTS = 200_000;
/** The blocks of an index path and of a few rows. All events take more than 2,000. */
const MAX_BLOCKS = 60;

let database: TestDatabase;
let orm: Orm;
let db: PreparedStatements;

beforeAll(async () => {
  database = await createDatabase();
  const { pool } = database;
  await pool.query('alter table events disable trigger user');
  await pool.query(`insert into events (type, occurred_at) select 'many', now() from generate_series(1, ${EVENTS})`);
  await pool.query('alter table events enable trigger user');
  await pool.query('vacuum analyze events');
  orm = await openServiceOrm({ url: database.url });
  db = new PreparedStatements(await poolOf(orm));
});

afterAll(async () => {
  await orm?.close();
  await database.drop();
});

/** Blocks that PostgreSQL reads to answer the statements that `run` sends, by its own count. */
async function blocksRead(run: () => Promise<unknown>): Promise<number> {
  const sent = vi.spyOn(pg.Connection.prototype, 'query');
  const parsed = vi.spyOn(pg.Connection.prototype, 'parse');
  const bound = vi.spyOn(pg.Connection.prototype, 'bind');
  try {
    await run();
    const plain = sent.mock.calls.map(([text]) => ({ text, values: [] as unknown[] }));
    const prepared = parsed.mock.calls.map(([{ text }], index) => ({ text, values: bound.mock.calls[index]?.[0]?.values ?? [] }));
    const statements = [...plain, ...prepared].filter(({ text }) => /\bevents\b/.test(text));
    expect(statements).toHaveLength(1);
    const [{ text, values }] = statements as [{ text: string; values: unknown[] }];
    const { rows } = await database.pool.query(`explain (analyze, buffers, format json) ${text}`, values);
    const { Plan } = rows[0]['QUERY PLAN'][0];
    return Plan['Shared Hit Blocks'] + Plan['Shared Read Blocks'];
  } finally {
    for (const spy of [sent, parsed, bound]) spy.mockRestore();
  }
}

const em = () => orm.em.fork();
const OLDEST = new Date(0);

it.each<readonly [string, number, () => Promise<unknown>]>([
  ['whether there are events for a consumer that has seen all', EVENTS, () => hasEventsFor(em(), 'mail')],
  ['whether there are events for a consumer that has seen none', 0, () => hasEventsFor(em(), 'mail')],
  ['how many events a consumer has not seen', EVENTS, () => countUnseenEvents(em(), 'mail')],
  ['the next events of a consumer', EVENTS, () => findEventsAfter(em(), EVENTS / 2, 100)],
  ['the last position', EVENTS, () => lastPosition(db)],
  ['what has changed', EVENTS, () => readChangesAfter(db, EVENTS, 1000)],
  ['which events are old', EVENTS, () => deleteOldEvents(em(), OLDEST, 1000)],
])('asks for %s by the index, however many events there are', async (_what, seen, ask) => {
  await database.pool.query(`update event_cursors set position = $1 where consumer = 'mail'`, [seen]);
  expect(await blocksRead(ask)).toBeLessThan(MAX_BLOCKS);
});

it('counts no more unseen events than a bound', async () => {
  await database.pool.query(`update event_cursors set position = 0 where consumer = 'mail'`);
  expect(await countUnseenEvents(em(), 'mail')).toBe(10_000);
});
