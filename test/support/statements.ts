import pg from 'pg';
import { expect, vi } from 'vitest';
import { untilNoMailIsPending } from './mailbox.ts';
import type { TestService } from './service.ts';

const HEALTH_PROBE = 'select 1';
const EPOCH_QUESTION = 'select version::text from authorization_epoch';
/** Whether there are events to follow. */
const EVENTS_QUESTION = 'events.read';
/** Whether there are events for the mails, or mails to send. */
const POLL = /^select\b.*\b(events|mails)\b/s;

const isByTheClock = (statement: unknown) =>
  typeof statement === 'string' && ([HEALTH_PROBE, EPOCH_QUESTION, EVENTS_QUESTION].includes(statement) || POLL.test(statement));

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

/** What the service asks the database meanwhile, but for what it asks by the clock and not for a call. */
export async function statementsOf(run: () => Promise<unknown>): Promise<unknown[]> {
  const watch = watchStatements();
  try {
    await run();
    return watch.all().filter((statement) => !isByTheClock(statement));
  } finally {
    watch.stop();
  }
}

/** Until the service has noticed all changes of rights and knows its caller again: the next call costs no statement for that. */
export async function untilCallerIsKnown({ auth, database }: TestService): Promise<void> {
  await untilNoMailIsPending(database.pool);
  const watch = watchStatements();
  try {
    // It asks again only after it has dealt with the answer.
    const asked = () => watch.all().filter((statement) => statement === EPOCH_QUESTION).length;
    await expect.poll(asked, { interval: 5, timeout: 10_000 }).toBeGreaterThanOrEqual(2);
  } finally {
    watch.stop();
  }
  await auth.getCaller({});
}
