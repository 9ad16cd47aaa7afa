import pg from 'pg';
import { expect, vi } from 'vitest';
import type { TestDatabase } from './database.ts';
import { untilNoMailIsPending } from './mailbox.ts';
import type { TestService } from './service.ts';

const HEALTH_PROBE = 'select 1';
/** The epoch of authorization, and whether there are events to follow. */
const CHANGES_QUESTION = 'callers.read-changes';
/** Whether there are events for the mails, or mails to send. */
const POLL = /^select\b.*\b(events|mails)\b/s;

/** Who calls: asked for anew where the service could not hear of changes in time, as on a busy machine. */
const RECOGNITION = ['api-keys.recognise', 'callers.recognise-service-accounts'];

/** What the stored hashes cost, sampled now and then (ADR 26). */
const SAMPLE = /\btablesample\b|\bpg_relation_size\b/;

const isByTheClock = (statement: unknown) =>
  typeof statement === 'string' && ([HEALTH_PROBE, CHANGES_QUESTION].includes(statement) || POLL.test(statement) || SAMPLE.test(statement));

/** What the service asks the database from here on; seen on the wire: the texts of statements, and the names of prepared ones. */
function watchStatements() {
  const sent = vi.spyOn(pg.Connection.prototype, 'query');
  const bound = vi.spyOn(pg.Connection.prototype, 'bind');
  return {
    all: (): unknown[] => [...sent.mock.calls.map(([text]) => text), ...bound.mock.calls.map(([config]) => config?.statement)],
    stop() {
      sent.mockRestore();
      bound.mockRestore();
    },
  };
}

/** What the service asks the database meanwhile for what calls are about: not who calls. */
export async function statementsOf(run: () => Promise<unknown>): Promise<unknown[]> {
  return (await statementsWithRecognitionOf(run)).filter((statement) => !RECOGNITION.includes(String(statement)));
}

/** What the service asks the database meanwhile, but for what it asks by the clock and not for a call. */
export async function statementsWithRecognitionOf(run: () => Promise<unknown>): Promise<unknown[]> {
  const watch = watchStatements();
  try {
    await run();
    return watch.all().filter((statement) => !isByTheClock(statement));
  } finally {
    watch.stop();
  }
}

/** What statements do, without the values that the ORM writes into them. */
export function withoutValues(statements: readonly unknown[]): string[] {
  return statements.map((statement) => String(statement).replace(/E?'(?:[^']|'')*'|\bnull\b/g, '?'));
}

/** Leaves mails and whatever else follows from events undone from here on: whoever does it would ask the database at the same time. */
export async function stopFollowingEvents({ pool }: TestDatabase): Promise<void> {
  await pool.query(`update event_cursors set position = 1e15 where consumer = 'mail'`);
}

/** Until so many services in this process have noticed all that was changed before. */
export async function untilChangesAreKnown({ pool }: TestDatabase, services: number): Promise<void> {
  await untilNoMailIsPending(pool);
  const watch = watchStatements();
  try {
    // Each asks again only after it has dealt with the answer. They ask equally often: with three questions for each, none has asked only once.
    const asked = () => watch.all().filter((statement) => statement === CHANGES_QUESTION).length;
    await expect.poll(asked).toBeGreaterThanOrEqual(services === 1 ? 2 : 3 * services);
  } finally {
    watch.stop();
  }
}

/** Until the service has noticed all changes of rights and knows its caller again: the next call costs no statement for that. */
export async function untilCallerIsKnown({ auth, database }: TestService): Promise<void> {
  await untilChangesAreKnown(database, 1);
  await auth.getCaller({});
}
