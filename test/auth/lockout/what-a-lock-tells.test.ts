import bcrypt from 'bcrypt';
import { describe, expect, it, vi } from 'vitest';
import type { User } from '../../../src/gen/identity/v1/user.ts';
import { auditEvents } from '../../support/audit.ts';
import { atOnce, logIn, newEmail, newUsername, PASSWORD, register } from '../../support/builders.ts';
import { attempt, FAILED, type Identifier, REFUSED, randomOf, tally } from '../../support/logins.ts';
import { counterOf, inFlightOf, occupyHashThreads, storeHash } from '../../support/passwords.ts';
import { useReplicas, useService } from '../../support/service.ts';
import { statementsOf, stopFollowingEvents, untilCallerIsKnown, withoutValues } from '../../support/statements.ts';

const replicas = useReplicas();
const { here, there } = replicas;

/** On both replicas: a lock is set and looked at by the clock of either. */
const advance = (seconds: number) => {
  for (const replica of [here, there]) replica.clock.advance(seconds);
};

/** Somebody with an email and a username, and the same of nobody. */
async function pair() {
  const { id, email, username = '' } = await register(here, { username: newUsername() });
  return { id, known: [{ email }, { username }], unknown: [{ email: newEmail() }, { username: newUsername() }] } as const;
}

const failTimes = async (count: number, identifier: Identifier) => {
  for (let failed = 0; failed < count; failed++) expect((await attempt(here, identifier)).reason).toBe(FAILED);
};

describe('the answer to an attempt', () => {
  it.each([
    ['email', 'username', 0, 1],
    ['username', 'email', 1, 0],
  ] as const)('by %s does not tell that the %s was tried, nor that they belong together', async (_first, _second, first, second) => {
    const { id, known, unknown } = await pair();
    for (const names of [known, unknown]) {
      await failTimes(5, names[first]);
      expect((await attempt(here, names[first], { password: PASSWORD })).reason).toBe(REFUSED);
      // The password is not compared, or the known one would let in.
      expect((await attempt(here, names[second], { password: PASSWORD })).reason).toBe(FAILED);
      await failTimes(4, names[second]);
      const { reason, seconds } = await attempt(here, names[second], { password: PASSWORD });
      expect([reason, seconds]).toEqual([REFUSED, expect.toSatisfy((wait: number) => wait > 1790 && wait <= 1800)]);
    }
    expect(await auditEvents(here, 'user.login_failed', id)).toHaveLength(5);
    expect(await auditEvents(here, 'user.locked', id)).toHaveLength(1);
  });

  it.each(Array.from({ length: 12 }, (_, seed) => [seed]))(
    'is the same for identifiers of one account, of two and of nobody (seed %i)',
    async (seed) => {
      const random = randomOf(seed);
      const { known, unknown } = await pair();
      const [one, other] = [await pair(), await pair()];
      const all = [known, [one.known[0], other.known[1]], unknown] as const;
      for (let step = 0; step < 30; step++) {
        const which = random() < 0.6 ? 0 : 1;
        const answers = [];
        for (const names of all) answers.push(await attempt(here, names[which]));
        for (const answer of answers) {
          expect(answer.reason).toBe(answers[0]?.reason);
          // They were sent one after the other.
          expect(Math.abs((answer.seconds ?? 0) - (answers[0]?.seconds ?? 0))).toBeLessThanOrEqual(2);
        }
        if (random() < 0.2) advance(Math.floor(random() * 2000));
      }
    },
  );

  it('does not tell that attempts under the other name are in flight', async () => {
    const { id, known } = await pair();
    const release = await occupyHashThreads(here);
    const byEmail = atOnce(6, () => attempt(here, known[0]));
    await expect.poll(() => inFlightOf(here, id)).toBe(5);
    const byUsername = attempt(here, known[1]);
    await release();
    expect(tally(await byEmail)).toEqual({ [FAILED]: 5, [REFUSED]: 1 });
    expect((await byUsername).reason).toBe(FAILED);
    expect(await counterOf(here, id)).toEqual({ failed: 5, locked: true });
    expect(await auditEvents(here, 'user.login_failed', id)).toHaveLength(5);
  });

  it('comes after five comparisons of passwords for each account, however many names are tried at once', async () => {
    const { id, known } = await pair();
    const outcomes = await atOnce(480, (index) => attempt(index % 3 ? here : there, known[index % 2 ? 0 : 1]));
    for (const parity of [0, 1]) {
      const ofOne = outcomes.filter((_, index) => index % 2 === parity);
      expect(tally(ofOne)).toEqual({ [FAILED]: 5, [REFUSED]: 235 });
    }
    expect(await counterOf(here, id)).toEqual({ failed: 5, locked: true });
    expect(await auditEvents(here, 'user.login_failed', id)).toHaveLength(5);
    expect(await auditEvents(here, 'user.locked', id)).toHaveLength(1);
  });

  it('lets the owner in under either name once the lock has ended', async () => {
    const { id, known } = await pair();
    await failTimes(5, known[0]);
    await failTimes(2, known[1]);
    advance(1801);
    expect((await attempt(here, known[1], { password: PASSWORD })).reason).toBe('success');
    expect(await counterOf(here, id)).toEqual({ failed: 0, locked: false });
    // All failures are forgotten, under each name.
    await failTimes(4, known[0]);
    expect((await attempt(here, known[0], { password: PASSWORD })).reason).toBe('success');
  });

  it('forgets under each name what UnlockUser forgets', async () => {
    const { id, known } = await pair();
    await failTimes(5, known[0]);
    await failTimes(5, known[1]);
    await here.users.unlockUser({ userId: id });
    for (const name of known) {
      await failTimes(4, name);
      expect((await attempt(here, name, { password: PASSWORD })).reason).toBe('success');
    }
  });

  it('does not follow an email to whoever has it next', async () => {
    const email = newEmail();
    const { id } = await register(here, { email });
    await failTimes(5, { email });
    await here.users.deleteUser({ userId: id });
    await register(here, { email });
    await logIn(here, email);
  });
});

describe('an attempt that cannot succeed', () => {
  const COST = '06';
  const service = useService({ BCRYPT_COST: COST });

  /** The costs of the hashes that an attempt computes. */
  async function costsOf(identifier: Identifier): Promise<string[]> {
    const hash = vi.spyOn(bcrypt, 'hash');
    try {
      expect((await attempt(service, identifier, { password: PASSWORD })).reason).toBe(FAILED);
      return hash.mock.calls.map(([, salt]) => String(salt).slice(4, 6));
    } finally {
      hash.mockRestore();
    }
  }

  it.each([
    ['locked under another name', async ({ email }: User) => void (await atOnce(5, () => attempt(service, { email })))],
    ['deactivated', ({ id }: User) => service.users.deactivateUser({ userId: id })],
  ])('takes as long as before the account was %s', async (_change, change) => {
    const user = await register(service, { username: newUsername() });
    // As an import brings it along: no dummy costs as much.
    await storeHash(service, user.id, `$2b$05$${'abcdefghijklmnopqrstuu'}${'x'.repeat(30)}e`);
    const byName = () => costsOf({ username: user.username ?? '' });
    expect(await byName()).toEqual(['05']);
    await change(user);
    expect(await byName()).toEqual(['05']);
  });

  it('does not succeed with the right password, whose hash is compared', async () => {
    const { id, email, username = '' } = await register(service, { username: newUsername() });
    await atOnce(5, () => attempt(service, { email }));
    expect(await costsOf({ username })).toEqual([COST]);
    await service.users.unlockUser({ userId: id });
    expect((await attempt(service, { username }, { password: PASSWORD })).reason).toBe('success');
    await service.users.deactivateUser({ userId: id });
    expect(await costsOf({ username })).toEqual([COST]);
  });

  it('does the same work as one on an account that does not exist', async () => {
    const { email, username = '' } = await register(service, { username: newUsername() });
    for (let failed = 0; failed < 5; failed++) await attempt(service, { email });
    await untilCallerIsKnown(service);
    await stopFollowingEvents(service.database);
    const hash = vi.spyOn(bcrypt, 'hash');
    try {
      const work = [];
      for (const identifier of [{ username }, { username: newUsername() }]) {
        hash.mockClear();
        const statements = withoutValues(await statementsOf(() => attempt(service, identifier, { password: PASSWORD })));
        work.push({ statements, costs: hash.mock.calls.map(([, salt]) => String(salt).slice(0, 7)) });
      }
      expect(work[0]).toMatchObject({ costs: [`$2b$${COST}$`] });
      expect(work[0]).toEqual(work[1]);
    } finally {
      hash.mockRestore();
    }
  });
});
