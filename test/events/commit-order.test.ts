import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openServiceOrm } from '../../src/app/orm.ts';
import type { Orm } from '../../src/database/orm.ts';
import { consumeEvents } from '../../src/events/consume-events.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';

interface Seen {
  readonly position: number;
  readonly type: string;
}

let database: TestDatabase;
const orms: Orm[] = [];

beforeAll(async () => {
  database = await createDatabase();
  for (let replica = 0; replica < 2; replica++) orms.push(await openServiceOrm({ url: database.url }));
});

beforeEach(async () => {
  await database.pool.query('truncate events');
});

afterAll(async () => {
  await Promise.all(orms.map((orm) => orm.close()));
  await database.drop();
});

async function connect(): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  return client;
}

const insert = (client: pg.Client, type: string) => client.query('insert into events (type, occurred_at) values ($1, now())', [type]);

/** A consumer that begins with what is committed from now on, as one of the replicas sees it. */
async function newConsumer(name: string, all: Seen[] = []): Promise<(replica?: number) => Promise<Seen[]>> {
  await database.pool.query('insert into event_cursors (consumer, position) select $1, coalesce(max(position), 0) from events', [name]);
  return async (replica = 0) => {
    const seen: Seen[] = [];
    await consumeEvents((orms[replica] as Orm).em, name, async (_em, events) => {
      seen.push(...events.map(({ position, type }) => ({ position, type })));
      // While the cursor is held: what comes after the commit may overtake.
      all.push(...seen);
    });
    return seen;
  };
}

const isAscending = (positions: readonly number[]) => positions.every((position, i) => i === 0 || position > (positions[i - 1] as number));

describe('events', () => {
  it('are numbered in the order of commits, not of inserts', async () => {
    const poll = await newConsumer('order');
    const [a, b] = [await connect(), await connect()];
    for (const client of [a, b]) await client.query('begin');
    await insert(a, 'a');
    await insert(b, 'b');
    expect(await poll()).toEqual([]);
    await b.query('commit');
    const first = await poll();
    expect(first.map(({ type }) => type)).toEqual(['b']);
    await a.query('commit');
    // A reader that is past b would never look below it.
    const second = await poll();
    expect(second.map(({ type }) => type)).toEqual(['a']);
    expect(isAscending([...first, ...second].map(({ position }) => position))).toBe(true);
    await Promise.all([a.end(), b.end()]);
  });

  it('of one transaction stay together, in the order of their inserts', async () => {
    const poll = await newConsumer('together');
    const [a, b] = [await connect(), await connect()];
    for (const client of [a, b]) await client.query('begin');
    for (const n of [1, 2, 3]) {
      await insert(a, `a${n}`);
      await insert(b, `b${n}`);
    }
    await b.query('commit');
    await a.query('commit');
    expect((await poll()).map(({ type }) => type)).toEqual(['b1', 'b2', 'b3', 'a1', 'a2', 'a3']);
    await Promise.all([a.end(), b.end()]);
  });

  it('reach a consumer exactly once and in order, none missing, none rolled back, however many write and read at once', async () => {
    const WRITERS = 8;
    const TRANSACTIONS = 60;
    const seen: Seen[] = [];
    const poll = await newConsumer('stress', seen);
    const committed: string[] = [];

    /** Transactions of one to three events that stay open for a while, so that they commit in another order than they insert. */
    const write = async (writer: number) => {
      const client = await connect();
      for (let n = 0; n < TRANSACTIONS; n++) {
        const types = Array.from({ length: 1 + (n % 3) }, (_, i) => `${writer}.${n}.${i}`);
        await client.query('begin');
        for (const type of types) await insert(client, type);
        await client.query('select pg_sleep(random() * 0.008)');
        const rollsBack = Math.random() < 0.2;
        await client.query(rollsBack ? 'rollback' : 'commit');
        if (!rollsBack) committed.push(...types);
      }
      await client.end();
    };

    let writing = true;
    const read = async (replica: number) => {
      for (;;) {
        const last = !writing;
        if ((await poll(replica)).length === 0 && last) return;
      }
    };
    const readers = [read(0), read(1)];
    await Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(writer)));
    writing = false;
    await Promise.all(readers);
    // One of them may have found the cursor taken at the end.
    await read(0);

    expect(committed.length).toBeGreaterThan(WRITERS * TRANSACTIONS);
    expect(seen.map(({ type }) => type).sort()).toEqual([...committed].sort());
    expect(isAscending(seen.map(({ position }) => position))).toBe(true);
  });

  it('hold up nobody but each other, at the commit', async () => {
    const [writer, other] = [await connect(), await connect()];
    await writer.query('begin');
    await writer.query(`select pg_advisory_xact_lock(hashtextextended('identity.events', 0))`);
    await other.query('begin');
    await insert(other, 'waits');
    const commit = other.query('commit');
    const blocked = `select from pg_stat_activity where datname = current_database() and wait_event = 'advisory' and query = 'commit'`;
    await expect.poll(async () => (await database.pool.query(blocked)).rowCount).toBe(1);
    await database.pool.query(`update event_cursors set position = position where consumer = 'mail'`);
    const { rows } = await database.pool.query('select type from events');
    expect(rows).toEqual([]);
    await writer.query('rollback');
    await commit;
    expect((await database.pool.query('select type from events')).rows).toEqual([{ type: 'waits' }]);
    await Promise.all([writer.end(), other.end()]);
  });
});
