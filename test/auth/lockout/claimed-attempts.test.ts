import { availableParallelism } from 'node:os';
import { status } from '@grpc/grpc-js';
import { describe, expect, it } from 'vitest';
import { auditEvents } from '../../support/audit.ts';
import { atOnce, logIn, newEmail, PASSWORD, register, signedIn } from '../../support/builders.ts';
import { decode, expectStatus, type Failure, failureOf } from '../../support/expect-status.ts';
import { untilNoMailIsPending } from '../../support/mailbox.ts';
import { counterOf, occupyHashThreads, slowHash, storeHash } from '../../support/passwords.ts';
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
    await expect.poll(() => counterOf(service, id)).toEqual({ failed: 1, locked: false });
    expect((await failure).code).toBe('DEADLINE_EXCEEDED');
    await expect.poll(() => counterOf(service, id)).toEqual({ failed: 0, locked: false });
    await release();
    expect(await auditEvents(service, 'user.login_failed', id)).toEqual([]);
  });

  it('is given back when the call is cancelled while the password waits to be compared', async () => {
    const { id, email } = await register(service);
    const release = await occupyHashThreads(service);
    const { cancel, ended } = login(email, WRONG);
    await expect.poll(() => counterOf(service, id)).toEqual({ failed: 1, locked: false });
    cancel();
    expect(await ended).toBe('CANCELLED');
    await expect.poll(() => counterOf(service, id)).toEqual({ failed: 0, locked: false });
    await release();
    expect(await auditEvents(service, 'user.login_failed', id)).toEqual([]);
  });

  it('is given back for an email that does not exist, too', async () => {
    const total = async () => (await rows(service, 'select coalesce(sum(failed_attempts), 0)::int as total from unknown_logins'))[0]?.total;
    const before = Number(await total());
    const release = await occupyHashThreads(service);
    const { cancel, ended } = login(newEmail(), WRONG);
    await expect.poll(total).toBe(before + 1);
    cancel();
    await ended;
    await expect.poll(total).toBe(before);
    await release();
  });

  it('locks while the last one allowed is being compared, and no longer if that is given back', async () => {
    const { id, email } = await register(service);
    for (let failed = 0; failed < 4; failed++) expect(await login(email, WRONG).ended).toBe('INVALID_CREDENTIALS');
    const release = await occupyHashThreads(service);
    const fifth = login(email, WRONG);
    await expect.poll(() => counterOf(service, id)).toEqual({ failed: 5, locked: true });
    expect(await login(email, PASSWORD).ended).toBe('TOO_MANY_ATTEMPTS');
    fifth.cancel();
    await expect.poll(() => counterOf(service, id)).toEqual({ failed: 4, locked: false });
    await release();
    expect(await auditEvents(service, 'user.locked', id)).toEqual([]);
    await logIn(service, email);
  });

  it('takes the lock with it when an earlier one than the last is given back', async () => {
    const { id, email } = await register(service);
    const release = await occupyHashThreads(service);
    const attempts = [];
    for (let claimed = 1; claimed <= 5; claimed++) {
      attempts.push(login(email, WRONG));
      await expect.poll(() => counterOf(service, id)).toEqual({ failed: claimed, locked: claimed === 5 });
    }
    attempts[0]?.cancel();
    await expect.poll(() => counterOf(service, id)).toEqual({ failed: 4, locked: false });
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
    await expect.poll(() => counterOf(service, id)).toEqual({ failed: 1, locked: false });
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
    await expect.poll(() => counterOf(service, user.id)).toEqual({ failed: 1, locked: false });
    caller.abort();
    await expect(change).rejects.toMatchObject({ code: status.CANCELLED });
    await expect.poll(() => counterOf(service, user.id)).toEqual({ failed: 0, locked: false });
    await release();
  });
});

describe('more attempts than can be compared in time', () => {
  // As many threads as there are take more attempts than the rate limit would let through.
  const service = useService({ LOCKOUT_MAX_ATTEMPTS: '1000', MAX_SESSIONS: '1000', RATE_LIMIT_PER_IDENTIFIER: '0' });

  const ROOM = Math.max(32 * availableParallelism(), 64);

  it('are shed at once, and do not count', async () => {
    const { id, email } = await register(service);
    const release = await occupyHashThreads(service);
    const shed: Failure[] = [];
    const login = async () => {
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
    expect(await counterOf(service, id)).toEqual({ failed: ROOM, locked: false });
    expect(await auditEvents(service, 'user.login_failed', id)).toHaveLength(ROOM);
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
    await expect.poll(() => counterOf(service, right.id)).toEqual({ failed: 0, locked: false });
    const failures = async () => (await auditEvents(service, 'user.login_failed', wrong.id)).length;
    await expect.poll(async () => (await counterOf(service, wrong.id)).failed - (await failures())).toBe(0);
    expect(await failures()).toBeGreaterThan(0);
    expect(await auditEvents(service, 'user.login_failed', right.id)).toEqual([]);
  });

  it('do not wear the threads out: hashing goes on as before', async () => {
    const { email } = await register(service);
    await atOnce(60, () => service.auth.login({ email, password: PASSWORD }, { timeout: 1 }));
    await logIn(service, email);
  });
});
