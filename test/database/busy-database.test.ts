import { describe, expect, it } from 'vitest';
import type { User } from '../../src/gen/identity/v1/user.ts';
import { atOnce, logIn, register } from '../support/builders.ts';
import { programWith } from '../support/grants.ts';
import { holdUser, untilBlocked } from '../support/locks.ts';
import { useService } from '../support/service.ts';
import { statementsWithRecognitionOf, untilCallerIsKnown, untilChangesAreKnown } from '../support/statements.ts';

const POOL = 8;
const service = useService({ DATABASE_POOL_MAX: String(POOL) });

/** Longer than what is remembered may be relied on without news from the database. */
const HELD_MS = 700;
/** Before anybody who waits for a connection is told that there is none: after 1.5 seconds. */
const AT_ONCE_MS = 1000;

const rename = ({ id }: User) => service.users.updateUser({ user: { id, profile: { firstName: 'Ada' } } });

/** Holds the row of a user while more calls want to change it than there are connections. */
async function whileCallsWait(user: User, run: () => Promise<void>): Promise<void> {
  const held = await holdUser(service, user.id);
  const waiting = atOnce(POOL, () => rename(user));
  try {
    // The two others are for who calls.
    await untilBlocked(service, POOL - 2);
    await run();
  } finally {
    await held.release();
    await waiting;
  }
}

describe('while every connection is taken by calls that wait', () => {
  it('who is known is recognised, and a known token is introspected, at once', async () => {
    const user = await register(service);
    const { accessToken } = await logIn(service, user.email);
    await service.auth.introspectToken({ accessToken });
    await untilCallerIsKnown(service);
    await whileCallsWait(user, async () => {
      const until = performance.now() + HELD_MS;
      while (performance.now() < until) {
        expect(await service.auth.introspectToken({ accessToken }, { timeout: AT_ONCE_MS })).toMatchObject({ active: true });
      }
    });
  });

  it('who is not known yet is recognised soon', async () => {
    const user = await register(service);
    const { accessToken } = await logIn(service, user.email);
    const { key } = await programWith(service, ['a.read']);
    await whileCallsWait(user, async () => {
      expect(await service.auth.getCaller({}, { token: key, timeout: AT_ONCE_MS })).toMatchObject({ permissions: ['a.read'] });
      expect(await service.auth.introspectToken({ accessToken }, { timeout: AT_ONCE_MS })).toMatchObject({ active: true });
    });
  });
});

describe('many calls with a key that nobody has used here before', () => {
  it('cost a statement or two together', async () => {
    const { key } = await programWith(service, ['a.read']);
    await untilChangesAreKnown(service.database, 1);
    const statements = await statementsWithRecognitionOf(async () => {
      const answers = await atOnce(40, () => service.auth.getCaller({}, { token: key }));
      expect(answers.map(({ status }) => status)).toEqual(Array(40).fill('fulfilled'));
    });
    const lookUps = statements.filter((statement) => !String(statement).startsWith('rate_limits:'));
    expect(new Set(lookUps)).toEqual(new Set(['api-keys.recognise']));
    // They do not all arrive in the same moment.
    expect(lookUps.length).toBeLessThanOrEqual(4);
  });
});
