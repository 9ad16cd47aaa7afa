import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openServiceOrm } from '../../src/app/orm.ts';
import type { Orm } from '../../src/database/orm.ts';
import { consumeEvents } from '../../src/events/consume-events.ts';
import { eventCleanup } from '../../src/events/event.repository.ts';
import { BATCH, runCleanup } from '../../src/jobs/cleanup.ts';
import { atOnce, newEmail, register } from '../support/builders.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { untilNoMailIsPending, useMailbox } from '../support/mailbox.ts';
import { startService, type TestService } from '../support/service.ts';

const mailbox = useMailbox();

let database: TestDatabase;
let orm: Orm;

beforeAll(async () => {
  database = await createDatabase();
  orm = await openServiceOrm({ url: database.url });
});

afterAll(async () => {
  await orm.close();
  await database.drop();
});

const query = (sql: string, values: unknown[] = []) => database.pool.query(sql, values);

describe('a consumer of events', () => {
  beforeEach(async () => {
    await query('truncate events');
    await query(`insert into event_cursors (consumer) values ('test') on conflict (consumer) do update set position = 0`);
  });

  const addEvents = (count: number) =>
    query(`insert into events (type, occurred_at) select 'event.' || n, now() from generate_series(1, $1) n`, [count]);

  const position = async () => (await query(`select position::int from event_cursors where consumer = 'test'`)).rows[0]?.position;

  it('whose work fails sees the same events again', async () => {
    await addEvents(2);
    const fail = consumeEvents(orm.em, 'test', async (em) => {
      await em.execute(`insert into events (type, occurred_at) values ('half.done', now())`);
      throw new Error('failed');
    });
    await expect(fail).rejects.toThrow('failed');
    expect(await position()).toBe(0);
    const seen: string[] = [];
    expect(await consumeEvents(orm.em, 'test', async (_em, events) => void seen.push(...events.map(({ type }) => type)))).toBe(2);
    expect(seen).toEqual(['event.1', 'event.2']);
    expect(await consumeEvents(orm.em, 'test', () => Promise.reject(new Error('there is nothing to do')))).toBe(0);
  });

  it('finds nothing to do, instead of waiting, while another replica works', async () => {
    await addEvents(1);
    const other = await database.pool.connect();
    await other.query('begin');
    await other.query(`select from event_cursors where consumer = 'test' for update`);
    const nothing = () => Promise.reject(new Error('not mine'));
    try {
      // Were it to wait, it would be for ever: the lock goes only afterwards.
      expect(await consumeEvents(orm.em, 'test', nothing)).toBe(0);
    } finally {
      await other.query('commit');
      other.release();
    }
    expect(await consumeEvents(orm.em, 'test', async () => undefined)).toBe(1);
  });

  it('that nobody has set up finds nothing', async () => {
    await addEvents(1);
    expect(await consumeEvents(orm.em, 'unknown', () => Promise.reject(new Error('whose?')))).toBe(0);
  });

  it('gets on in steps, however much has piled up', async () => {
    await addEvents(250);
    const steps: number[] = [];
    for (let count = -1; count !== 0; ) {
      count = await consumeEvents(orm.em, 'test', async () => undefined);
      steps.push(count);
    }
    expect(steps).toEqual([100, 100, 50, 0]);
  });
});

describe('two services on one database', () => {
  const services: TestService[] = [];
  let shared: TestDatabase;

  beforeAll(async () => {
    shared = await createDatabase();
    for (let replica = 0; replica < 2; replica++) services.push(await startService({ SMTP_URL: mailbox.url() }, shared));
  });

  afterEach(async () => {
    for (const service of services.splice(0)) await service.stop();
    await shared.drop();
  });

  it('send one mail for each event', async () => {
    const emails = Array.from({ length: 60 }, newEmail);
    const results = await atOnce(emails.length, (n) => register(services[n % 2] as TestService, { email: emails[n] as string }));
    expect(results.filter(({ status }) => status === 'rejected')).toEqual([]);
    for (const email of emails) await mailbox.mail(email, /^Confirm/);
    await untilNoMailIsPending(shared.pool);
    expect(mailbox.mails).toHaveLength(emails.length);
  });
});

describe('housekeeping', () => {
  const DAY = 86_400_000;
  const now = new Date('2026-11-21T12:00:00Z');

  beforeEach(async () => {
    await query('truncate events');
    await query('delete from event_cursors');
  });

  const clean = () => runCleanup(orm.em, now, eventCleanup);

  /** Adds events of these ages, and returns their positions. */
  async function addEvents(ages: readonly number[]): Promise<number[]> {
    const positions: number[] = [];
    for (const age of ages) {
      await query(`insert into events (type, occurred_at) values ('event', $1)`, [new Date(now.getTime() - age)]);
      const { rows } = await query('select max(position)::int as position from events');
      positions.push(rows[0].position);
    }
    return positions;
  }

  const left = async () => (await query('select position::int from events order by position')).rows.map(({ position }) => position);

  const setCursor = (consumer: string, position: number | undefined) =>
    query(
      'insert into event_cursors (consumer, position) values ($1, $2) on conflict (consumer) do update set position = excluded.position',
      [consumer, position],
    );

  it('deletes events that are older than seven days and that every consumer has seen', async () => {
    const positions = await addEvents([30 * DAY, 8 * DAY, 7 * DAY + 1, 7 * DAY, DAY]);
    await setCursor('one', positions[4]);
    await setCursor('two', positions[1]);
    expect(await clean()).toEqual({ old_events: 2 });
    expect(await left()).toEqual(positions.slice(2));
    await setCursor('two', positions[4]);
    expect(await clean()).toEqual({ old_events: 1 });
    expect(await left()).toEqual(positions.slice(3));
  });

  it('goes on until nothing is left, however much has piled up', async () => {
    const count = 2 * BATCH + 1;
    await query(
      `insert into events (type, occurred_at) select 'event', timestamptz '2026-11-21T12:00:00Z' - interval '8 days' from generate_series(1, $1)`,
      [count],
    );
    await query(`insert into event_cursors (consumer, position) select 'one', max(position) from events`);
    expect(await clean()).toEqual({ old_events: count });
  });
});
