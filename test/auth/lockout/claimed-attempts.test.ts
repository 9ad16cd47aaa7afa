import { availableParallelism } from 'node:os';
import { status } from '@grpc/grpc-js';
import { describe, expect, it } from 'vitest';
import { auditEvents } from '../../support/audit.ts';
import { atOnce, logIn, newEmail, PASSWORD, register, signedIn } from '../../support/builders.ts';
import { decode, expectStatus, type Failure, failureOf } from '../../support/expect-status.ts';
import { untilNoMailIsPending } from '../../support/mailbox.ts';
import { counterOf, inFlightOf, occupyHashThreads, slowHash, storeHash } from '../../support/passwords.ts';
import { rows } from '../../support/rows.ts';
import { useService } from '../../support/service.ts';
import { statementsOf, untilCallerIsKnown } from '../../support/statements.ts';

const WRONG = 'not the password';

describe('an attempt that was claimed', () => {
  const service = useService();

  /** A login that can be cancelled; it never rejects, but tells how it ended. */
  function login(email: string, password: string) {
    const caller = new AbortController();
    const ended = service.auth.login({ email, password }, { signal: caller.signal }).then(
      () => 'success',
      (error) => decode(error).reason ?? decode(error).code,
    );
    return { ended, cancel: () => caller.abort() };
  }

  it('is given back when the deadline passes while the password waits to be compared', async () => {
    const { id, email } = await register(service);
    const release = await occupyHashThreads(service);
    const failure = failureOf(service.auth.login({ email, password: WRONG }, { timeout: 1000 }));
    await expect.poll(() => inFlightOf(service, id)).toBe(1);
    expect((await failure).code).toBe('DEADLINE_EXCEEDED');
    await expect.poll(() => inFlightOf(service, id)).toBe(0);
    expect(await counterOf(service, id)).toEqual({ failed: 0, locked: false });
    await release();
    expect(await auditEvents(service, 'user.login_failed', id)).toEqual([]);
  });

  it('is given back when the call is cancelled while the password waits to be compared', async () => {
    const { id, email } = await register(service);
    const release = await occupyHashThreads(service);
    const { cancel, ended } = login(email, WRONG);
    await expect.poll(() => inFlightOf(service, id)).toBe(1);
    cancel();
    expect(await ended).toBe('CANCELLED');
    await expect.poll(() => inFlightOf(service, id)).toBe(0);
    expect(await counterOf(service, id)).toEqual({ failed: 0, locked: false });
    await release();
    expect(await auditEvents(service, 'user.login_failed', id)).toEqual([]);
  });

  it('is given back for an email that does not exist, too', async () => {
    const counts = async () =>
      (
        await rows(
          service,
          `select coalesce(sum(attempts_in_flight), 0)::int as claimed, coalesce(sum(failed_attempts), 0)::int as failed
           from attempted_identifiers where user_id is null`,
        )
      )[0];
    const before = await counts();
    const release = await occupyHashThreads(service);
    const { cancel, ended } = login(newEmail(), WRONG);
    await expect.poll(counts).toEqual({ ...before, claimed: 1 });
    cancel();
    await ended;
    await expect.poll(counts).toEqual({ ...before, claimed: 0 });
    await release();
  });

  it('keeps others waiting for a second while it is the last one allowed, and locks nobody out where it is given back', async () => {
    const { id, email } = await register(service);
    for (let failed = 0; failed < 4; failed++) expect(await login(email, WRONG).ended).toBe('INVALID_CREDENTIALS');
    const release = await occupyHashThreads(service);
    const fifth = login(email, WRONG);
    await expect.poll(() => inFlightOf(service, id)).toBe(1);
    expect(await counterOf(service, id)).toEqual({ failed: 4, locked: false });
    const { reason, retryAfterSeconds } = await failureOf(service.auth.login({ email, password: PASSWORD }));
    expect({ reason, retryAfterSeconds }).toEqual({ reason: 'TOO_MANY_ATTEMPTS', retryAfterSeconds: 1 });
    fifth.cancel();
    await expect.poll(() => inFlightOf(service, id)).toBe(0);
    expect(await counterOf(service, id)).toEqual({ failed: 4, locked: false });
    await release();
    expect(await auditEvents(service, 'user.locked', id)).toEqual([]);
    await logIn(service, email);
  });

  it('makes room for one more where it is given back: five in all are compared', async () => {
    const { id, email } = await register(service);
    const release = await occupyHashThreads(service);
    const attempts = [];
    for (let claimed = 1; claimed <= 5; claimed++) {
      attempts.push(login(email, WRONG));
      await expect.poll(() => inFlightOf(service, id)).toBe(claimed);
    }
    expect(await login(email, WRONG).ended).toBe('TOO_MANY_ATTEMPTS');
    attempts[0]?.cancel();
    await expect.poll(() => inFlightOf(service, id)).toBe(4);
    await release();
    const ends = await Promise.all(attempts.map(({ ended }) => ended));
    expect(ends.slice(1)).toEqual(Array(4).fill('INVALID_CREDENTIALS'));
    expect(await counterOf(service, id)).toEqual({ failed: 4, locked: false });
    expect(await auditEvents(service, 'user.locked', id)).toEqual([]);

    expect(await login(email, WRONG).ended).toBe('INVALID_CREDENTIALS');
    expect(await login(email, PASSWORD).ended).toBe('TOO_MANY_ATTEMPTS');
    expect(await auditEvents(service, 'user.locked', id)).toHaveLength(1);
  });

  it('counts when the call is cancelled after its password was begun to be compared', async () => {
    const { id, email } = await register(service);
    await storeHash(service, id, slowHash(13));
    const { cancel, ended } = login(email, WRONG);
    await expect.poll(() => inFlightOf(service, id)).toBe(1);
    // One more turn of the service: what was claimed before it is being compared.
    await service.users.getUser({ userId: id });
    cancel();
    await ended;
    await expect.poll(() => auditEvents(service, 'user.login_failed', id)).toHaveLength(1);
    expect(await counterOf(service, id)).toEqual({ failed: 1, locked: false });
  });

  it('of a change of password is given back, too', async () => {
    const { user, tokens } = await signedIn(service);
    const release = await occupyHashThreads(service);
    const caller = new AbortController();
    const change = service.auth.changePassword(
      { userId: user.id, currentPassword: WRONG, newPassword: 'another password' },
      { signal: caller.signal, token: tokens.accessToken },
    );
    change.catch(() => undefined);
    await expect.poll(() => inFlightOf(service, user.id)).toBe(1);
    caller.abort();
    await expect(change).rejects.toMatchObject({ code: status.CANCELLED });
    await expect.poll(() => inFlightOf(service, user.id)).toBe(0);
    expect(await counterOf(service, user.id)).toEqual({ failed: 0, locked: false });
    await release();
  });
});

describe('more attempts than can be compared in time', () => {
  // As many threads as there are take more attempts than the rate limit would let through.
  const service = useService({ LOCKOUT_MAX_ATTEMPTS: '1000', MAX_SESSIONS: '1000', RATE_LIMIT_PER_IDENTIFIER: '0' });

  const ROOM = Math.max(32 * availableParallelism(), 64);

  it('are shed at once, and do not count', async () => {
    // Fewer on each than end all guessing.
    const users = await Promise.all(Array.from({ length: Math.ceil((ROOM + 20) / 50) }, () => register(service)));
    const ids = users.map(({ id }) => id);
    const release = await occupyHashThreads(service);
    const shed: Failure[] = [];
    const login = async (index: number) => {
      const email = users[index % users.length]?.email as string;
      const failure = await failureOf(service.auth.login({ email, password: WRONG }));
      if (failure.reason === 'OVERLOADED') shed.push(failure);
      return failure.reason;
    };
    const ends = atOnce(ROOM + 20, login);
    await expect.poll(() => shed.length).toBe(20);
    await release();
    const reasons = (await ends).map((end) => (end.status === 'fulfilled' ? end.value : end.reason));

    expect(reasons.filter((reason) => reason === 'INVALID_CREDENTIALS')).toHaveLength(ROOM);
    for (const { code, retryAfterSeconds } of shed)
      expect({ code, retryAfterSeconds }).toEqual({ code: 'RESOURCE_EXHAUSTED', retryAfterSeconds: 1 });
    const counted = await Promise.all(ids.map(async (id) => (await counterOf(service, id)).failed));
    const told = await Promise.all(ids.map(async (id) => (await auditEvents(service, 'user.login_failed', id)).length));
    expect(counted).toEqual(told);
    expect(counted.reduce((sum, count) => sum + count, 0)).toBe(ROOM);
  });

  it('are shed without a question to the database once it is plain that there is no room', async () => {
    const { email } = await register(service);
    await untilCallerIsKnown(service);
    const release = await occupyHashThreads(service);
    // To those whose passwords are compared there.
    await untilNoMailIsPending(service.database.pool);
    const extra = 20;
    let answered = 0;
    const login = () => service.auth.login({ email, password: WRONG });
    const flood = Array.from({ length: ROOM + extra }, () => login().catch(() => answered++));
    await expect.poll(() => answered).toBe(extra);
    expect(await statementsOf(() => expectStatus(login(), 'RESOURCE_EXHAUSTED', 'OVERLOADED'))).toEqual([]);
    await release();
    await Promise.all(flood);
  });

  it('leave no counter wrong when their callers go away at any moment', async () => {
    const [right, wrong] = [await register(service), await register(service)];
    for (let round = 0; round < 3; round++) {
      await atOnce(80, (index) => {
        const [user, password] = index % 2 ? [right, PASSWORD] : [wrong, WRONG];
        const patient = index % 10 === 0;
        return service.auth.login({ email: user.email, password }, patient ? {} : { signal: AbortSignal.timeout(index * 3) });
      });
    }
    for (const { id } of [right, wrong]) await expect.poll(() => inFlightOf(service, id)).toBe(0);
    expect(await counterOf(service, right.id)).toEqual({ failed: 0, locked: false });
    const failures = async () => (await auditEvents(service, 'user.login_failed', wrong.id)).length;
    expect((await counterOf(service, wrong.id)).failed).toBe(await failures());
    expect(await failures()).toBeGreaterThan(0);
    expect(await auditEvents(service, 'user.login_failed', right.id)).toEqual([]);
  });

  it('do not wear the threads out: hashing goes on as before', async () => {
    const { email } = await register(service);
    await atOnce(60, () => service.auth.login({ email, password: PASSWORD }, { timeout: 1 }));
    await logIn(service, email);
  });
});
