import bcrypt from 'bcrypt';
import { describe, expect, it, vi } from 'vitest';
import { newEmail, register } from '../support/builders.ts';
import { expectStatus } from '../support/expect-status.ts';
import { storeHash } from '../support/passwords.ts';
import { useService } from '../support/service.ts';
import { statementsOf, stopFollowingEvents, untilCallerIsKnown, withoutValues } from '../support/statements.ts';
import { toldApartByTime } from '../support/timing.ts';

const COST = '08';
const service = useService({ BCRYPT_COST: COST, LOCKOUT_MAX_ATTEMPTS: '1000' });

const guess = (email: string) =>
  expectStatus(service.auth.login({ email, password: 'not the password' }), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');

/** A wrong password for each of the accounts that must look alike. */
async function wrongGuesses(): Promise<Record<string, () => Promise<unknown>>> {
  const known = await register(service);
  const deactivated = await register(service);
  await service.users.deactivateUser({ userId: deactivated.id });
  const unreadable = await register(service);
  await storeHash(service, unreadable.id, '{SSHA}of a system that nobody knows any more');
  await untilCallerIsKnown(service);
  return {
    known: () => guess(known.email),
    nobody: () => guess(newEmail()),
    deactivated: () => guess(deactivated.email),
    unreadable: () => guess(unreadable.email),
  };
}

describe('a login with a wrong password, to an account that does not exist, is deactivated, or has a hash that nobody understands', () => {
  it('takes the same time', { timeout: 180_000 }, async () => {
    const guesses = await wrongGuesses();
    await toldApartByTime(guesses, 5);
    expect(await toldApartByTime(guesses, 40)).toEqual([]);
  });

  it('does the same work: one hash of today’s cost, and the same statements', async () => {
    const guesses = await wrongGuesses();
    await stopFollowingEvents(service.database);
    const hash = vi.spyOn(bcrypt, 'hash');
    try {
      const work: unknown[] = [];
      for (const call of Object.values(guesses)) {
        hash.mockClear();
        const statements = withoutValues(await statementsOf(call));
        work.push({ statements, costs: hash.mock.calls.map(([, salt]) => String(salt).slice(0, 7)) });
      }
      expect(work[0]).toMatchObject({ costs: [`$2b$${COST}$`], statements: expect.arrayContaining([expect.anything()]) });
      for (const each of work) expect(each).toEqual(work[0]);
    } finally {
      hash.mockRestore();
    }
  });
});
