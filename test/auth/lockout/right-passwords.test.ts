import { describe, expect, it } from 'vitest';
import { auditEvents, countEvents } from '../../support/audit.ts';
import { atOnce, logIn, newEmail, newUsername, PASSWORD, register } from '../../support/builders.ts';
import { failureOf } from '../../support/expect-status.ts';
import { holdUser } from '../../support/locks.ts';
import { attempt, FAILED, type Outcome, REFUSED, randomOf, tally, WRONG, waits } from '../../support/logins.ts';
import { counterOf, inFlightOf, occupyHashThreads } from '../../support/passwords.ts';
import { rows } from '../../support/rows.ts';
import { useReplicas } from '../../support/service.ts';

const replicas = useReplicas();
const { here, there } = replicas;

const UNTOUCHED = { failed: 0, locked: false };

/** Attempts of nobody's that have no outcome yet. */
const inFlightOfNobody = async () =>
  (await rows(here, 'select coalesce(sum(attempts_in_flight), 0)::int as count from attempted_identifiers where user_id is null'))[0]
    ?.count;

describe('right passwords sent at once', () => {
  it.each([
    ['email', 10],
    ['username', 25],
  ] as const)('are no failures and lock nobody out, by %s', async (column, count) => {
    const { id, email, username = '' } = await register(here, { username: newUsername() });
    const identifier = column === 'email' ? { email } : { username };
    const release = await occupyHashThreads(here);
    let answered = 0;
    const logins = atOnce(count, () => attempt(here, identifier, { password: PASSWORD }).finally(() => answered++));
    await expect.poll(() => answered).toBe(count - 5);
    expect(await inFlightOf(here, id)).toBe(5);
    await release();
    const outcomes = await logins;
    expect(tally(outcomes)).toEqual({ success: 5, [REFUSED]: count - 5 });
    expect(waits(outcomes)).toEqual(Array(count - 5).fill(1));
    expect(await counterOf(here, id)).toEqual(UNTOUCHED);
    expect(await inFlightOf(here, id)).toBe(0);
    expect(await auditEvents(here, 'user.login_failed', id)).toEqual([]);
    await logIn(here, email);
  });

  it('are waited for in the same way where nobody has the email', async () => {
    const email = newEmail();
    const release = await occupyHashThreads(here);
    let answered = 0;
    const logins = atOnce(10, () => attempt(here, { email }).finally(() => answered++));
    await expect.poll(() => answered).toBe(5);
    expect(await inFlightOfNobody()).toBe(5);
    await release();
    const outcomes = await logins;
    expect(tally(outcomes)).toEqual({ [FAILED]: 5, [REFUSED]: 5 });
    expect(waits(outcomes)).toEqual(Array(5).fill(1));
    expect((await attempt(here, { email })).seconds).toBeGreaterThan(1790);
  });

  it('and changes of the password get along', async () => {
    const { id, email } = await register(here);
    await atOnce<unknown>(12, (index) =>
      index % 4 === 0
        ? failureOf(here.auth.changePassword({ userId: id, currentPassword: PASSWORD, newPassword: PASSWORD }))
        : attempt(index % 2 ? here : there, { email }, { password: PASSWORD }),
    );
    expect(await counterOf(here, id)).toEqual(UNTOUCHED);
    expect(await inFlightOf(here, id)).toBe(0);
  });
});

describe('an attempt whose outcome was never written down', () => {
  it('is no failure, and in flight for a minute at most', async () => {
    const known = { email: (await register(here)).email };
    for (const identifier of [known, { email: newEmail() }]) {
      expect((await attempt(here, identifier)).reason).toBe(FAILED);
      // As if the processes had died that compared four more.
      const lost = (seconds: number) => `set attempts_in_flight = 4, attempted_at = now() - interval '${seconds} seconds'`;
      const claimedBefore = async (seconds: number) => {
        await rows(here, `update users ${lost(seconds)} where email = $1`, [identifier.email]);
        await rows(here, `update attempted_identifiers ${lost(seconds)} where failed_attempts = 1`);
      };
      await claimedBefore(50);
      expect(await attempt(here, identifier)).toEqual({ reason: REFUSED, seconds: 1 });
      await claimedBefore(61);
      for (let failed = 2; failed <= 4; failed++) expect((await attempt(here, identifier)).reason).toBe(FAILED);
    }
    await logIn(here, known.email);
  });

  it('is no failure where the database stood still meanwhile', async () => {
    const { id, email } = await register(here);
    const held = await holdUser(here, id);
    // The service does not wait for as long; the database claims the attempts when it goes on.
    const outcomes = await atOnce(5, () => attempt(here, { email }, { password: PASSWORD }));
    expect(tally(outcomes)).toEqual({ DATABASE_UNAVAILABLE: 5 });
    await held.release();
    await expect.poll(() => inFlightOf(here, id)).toBe(5);
    expect(await counterOf(here, id)).toEqual(UNTOUCHED);
    expect(await attempt(here, { email }, { password: PASSWORD })).toEqual({ reason: REFUSED, seconds: 1 });
    for (const [table, column] of [
      ['users', 'id'],
      ['attempted_identifiers', 'user_id'],
    ])
      await rows(here, `update ${table} set attempted_at = attempted_at - interval '1 minute' where ${column} = $1`, [id]);
    await logIn(here, email);
    expect(await auditEvents(here, 'user.locked', id)).toEqual([]);
  });
});

describe('right and wrong passwords sent at once to two replicas', () => {
  it.each([1, 2, 3, 4])('are counted exactly, with callers who go away at any moment (%i)', async (seed) => {
    const random = randomOf(seed);
    const { id, email } = await register(here);
    const wrongOnes: Outcome[] = [];
    await atOnce(60, async () => {
      const right = random() < 0.5;
      const signal = random() < 0.3 ? AbortSignal.timeout(Math.floor(random() * 60)) : new AbortController().signal;
      const service = random() < 0.5 ? here : there;
      const outcome = await attempt(service, { email }, { password: right ? PASSWORD : WRONG, signal });
      if (!right) wrongOnes.push(outcome);
      if (right) expect(outcome.reason).not.toBe(FAILED);
    });
    await expect.poll(() => inFlightOf(here, id)).toBe(0);
    // At most five in a row fail, and each success lets five more.
    const failures = (await auditEvents(here, 'user.login_failed', id)).length;
    const told = wrongOnes.filter(({ reason }) => reason === FAILED).length;
    expect(failures).toBeGreaterThanOrEqual(told);
    const { failed, locked } = await counterOf(here, id);
    expect(failed).toBeLessThanOrEqual(5);
    expect(locked).toBe(failed === 5);
    expect(await auditEvents(here, 'user.locked', id)).toHaveLength(locked ? 1 : 0);
    const [identifier] = await rows(
      here,
      'select attempts_in_flight as claimed, failed_attempts as failed from attempted_identifiers where user_id = $1',
      [id],
    );
    expect(identifier ?? { claimed: 0, failed: 0 }).toEqual({ claimed: 0, failed });
  });
});

describe('200 parallel guesses on two replicas', () => {
  it('are compared five times, and lock once, although their clocks are two minutes apart', async () => {
    here.clock.advance(120);
    const before = await countEvents(here, 'user.locked');
    const { id, email } = await register(here);
    const outcomes = await atOnce(200, (index) => attempt(index % 2 ? here : there, { email }));
    expect(tally(outcomes)).toEqual({ [FAILED]: 5, [REFUSED]: 195 });
    expect(await auditEvents(here, 'user.login_failed', id)).toHaveLength(5);
    expect(await countEvents(here, 'user.locked')).toBe(before + 1);
    expect(await counterOf(here, id)).toEqual({ failed: 5, locked: true });
  });
});
