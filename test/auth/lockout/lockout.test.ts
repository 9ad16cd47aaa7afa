import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../../src/config.ts';
import { auditEvents, countEvents, DEVICE } from '../../support/audit.ts';
import { atOnce, logIn, newEmail, newUsername, PASSWORD, register } from '../../support/builders.ts';
import { decode, expectStatus, type Failure } from '../../support/expect-status.ts';
import { counterOf } from '../../support/passwords.ts';
import { bookkeeping, rows } from '../../support/rows.ts';
import { SECRET_KEY, startService, type TestService, useService } from '../../support/service.ts';

const service = useService();

type Identifier = { readonly email: string } | { readonly username: string };

const WRONG = 'not the password';

const login = (identifier: Identifier, password = WRONG, { auth }: TestService = service) =>
  auth.login({ ...identifier, password, client: DEVICE });

const fail = (identifier: Identifier, at?: TestService) =>
  expectStatus(login(identifier, WRONG, at), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');

const refused = (identifier: Identifier, password?: string, at?: TestService) =>
  expectStatus(login(identifier, password, at), 'RESOURCE_EXHAUSTED', 'TOO_MANY_ATTEMPTS');

async function failTimes(count: number, identifier: Identifier): Promise<void> {
  for (let failed = 0; failed < count; failed++) await fail(identifier);
}

/** How many of many attempts failed for which reason. */
function tally(results: readonly PromiseSettledResult<unknown>[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const result of results) {
    const reason = result.status === 'fulfilled' ? 'success' : (decode(result.reason).reason ?? 'none');
    counts[reason] = (counts[reason] ?? 0) + 1;
  }
  return counts;
}

/** Attempts were in flight, or had locked already. */
const isASecondOrALock = (seconds = 0) => seconds === 1 || (seconds > 1790 && seconds <= 1800);

const visible = ({ requestId, ...rest }: Failure) => rest;

describe('the lockout', () => {
  it('compares 5 of 200 wrong passwords sent at once, and locks once', async () => {
    const { id, email } = await register(service);
    const results = await atOnce(200, () => login({ email }));

    expect(tally(results)).toEqual({ INVALID_CREDENTIALS: 5, TOO_MANY_ATTEMPTS: 195 });
    expect(await auditEvents(service, 'user.login_failed', id)).toHaveLength(5);
    expect(await auditEvents(service, 'user.locked', id)).toHaveLength(1);
    expect(await counterOf(service, id)).toEqual({ failed: 5, locked: true });
    for (const result of results) {
      if (result.status !== 'rejected') continue;
      const { reason, retryAfterSeconds } = decode(result.reason);
      if (reason === 'TOO_MANY_ATTEMPTS') expect(isASecondOrALock(retryAfterSeconds)).toBe(true);
    }
  });

  it('compares 5 of 200 passwords sent at once for an email that does not exist', async () => {
    const before = await countEvents(service, 'user.locked');
    const email = newEmail();
    const results = await atOnce(200, () => login({ email }));
    expect(tally(results)).toEqual({ INVALID_CREDENTIALS: 5, TOO_MANY_ATTEMPTS: 195 });
    expect(await countEvents(service, 'user.locked')).toBe(before);
  });

  it('does not let the right password in among the guesses after the fifth', async () => {
    const { id, email } = await register(service);
    await failTimes(5, { email });
    const results = await atOnce(195, (index) => login({ email }, index % 3 ? WRONG : PASSWORD));
    expect(tally(results)).toEqual({ TOO_MANY_ATTEMPTS: 195 });
    expect((await service.sessions.listSessions({ userId: id })).sessions).toEqual([]);
    expect(await auditEvents(service, 'user.login', id)).toEqual([]);
  });

  it('does not look at a password while the account is locked', async () => {
    const { id, email } = await register(service);
    await failTimes(5, { email });
    const wrong = await refused({ email });
    const right = await refused({ email }, PASSWORD);
    expect({ ...visible(right), retryAfterSeconds: 0 }).toEqual({ ...visible(wrong), retryAfterSeconds: 0 });
    expect(await counterOf(service, id)).toEqual({ failed: 5, locked: true });
    expect(await auditEvents(service, 'user.login_failed', id)).toHaveLength(5);
  });

  it('is written down with the device of the last guess', async () => {
    const { id, email } = await register(service);
    await failTimes(5, { email });
    expect(await auditEvents(service, 'user.locked', id)).toEqual([
      { type: 'user.locked', userId: id, actor: 'service_account:test-admin', ...DEVICE },
    ]);
  });

  it('locks one account, by whichever name it is tried', async () => {
    const username = newUsername();
    const { id, email } = await register(service, { username });
    await failTimes(3, { email: email.toUpperCase() });
    await failTimes(2, { username: username.toUpperCase() });
    expect(await counterOf(service, id)).toEqual({ failed: 5, locked: true });
    // Not compared any more.
    await expectStatus(login({ email }, PASSWORD), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
    await expectStatus(login({ username }, PASSWORD), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
    await logIn(service, (await register(service)).email);
  });

  it('ends by itself, and the count begins anew', async () => {
    const { id, email } = await register(service);
    await failTimes(5, { email });
    service.clock.advance(1700);
    await refused({ email }, PASSWORD);
    service.clock.advance(101);
    await failTimes(4, { email });
    expect(await counterOf(service, id)).toEqual({ failed: 4, locked: false });
    await fail({ email });
    await refused({ email }, PASSWORD);
    expect(await auditEvents(service, 'user.locked', id)).toHaveLength(2);
    service.clock.advance(1801);
    await logIn(service, email);
    expect(await counterOf(service, id)).toEqual({ failed: 0, locked: false });
  });

  it('tells how long it still lasts', async () => {
    for (const { email } of [await register(service), { email: newEmail() }]) {
      await failTimes(5, { email });
      const first = (await refused({ email })).retryAfterSeconds;
      expect(first).toBeGreaterThan(1795);
      expect(first).toBeLessThanOrEqual(1800);
      service.clock.advance(1000);
      const later = (await refused({ email })).retryAfterSeconds;
      expect(later).toBeGreaterThan(795);
      expect(later).toBeLessThanOrEqual(800);
    }
  });

  it('forgets the failures after a success', async () => {
    const { id, email } = await register(service);
    for (let round = 0; round < 3; round++) {
      await failTimes(4, { email });
      await logIn(service, email);
      expect(await counterOf(service, id)).toEqual({ failed: 0, locked: false });
    }
    expect(await auditEvents(service, 'user.locked', id)).toEqual([]);
  });

  it('lets the fifth attempt in where its password is right', async () => {
    const { id, email } = await register(service);
    await failTimes(4, { email });
    await logIn(service, email);
    expect((await bookkeeping(service, id)).locked_until).toBeNull();
  });

  it('is lifted at once by UnlockUser', async () => {
    const { id, email } = await register(service);
    await failTimes(5, { email });
    await service.users.unlockUser({ userId: id });
    expect(await counterOf(service, id)).toEqual({ failed: 0, locked: false });
    await failTimes(4, { email });
    await logIn(service, email);
  });

  it('treats accounts that do not exist like those that do', async () => {
    const known = await register(service, { username: newUsername() });
    const transcripts = [];
    for (const identifier of [{ email: known.email }, { email: newEmail() }, { username: newUsername() }]) {
      const transcript: Failure[] = [];
      for (let attempt = 0; attempt < 5; attempt++) transcript.push(await fail(identifier));
      transcript.push(await refused(identifier));
      service.clock.advance(1801);
      for (let attempt = 0; attempt < 5; attempt++) transcript.push(await fail(identifier));
      transcript.push(await refused(identifier));
      transcripts.push(transcript.map(visible));
    }
    for (const transcript of transcripts) expect(transcript).toEqual(transcripts[0]);
  });

  it('of an email that does not exist is no obstacle to registering it', async () => {
    const email = newEmail();
    await failTimes(5, { email });
    await register(service, { email });
    await logIn(service, email);
  });

  it('keeps no list of the emails that were tried', async () => {
    const email = newEmail();
    await fail({ email });
    const { rows } = await service.database.pool.query('select u::text as text from attempted_identifiers u');
    expect(rows.length).toBeGreaterThan(0);
    expect(rows.map(({ text }) => text).join()).not.toContain(Buffer.from(email).toString('hex'));
    expect(rows.map(({ text }) => text).join()).not.toContain(email);
  });

  it('is shared by all services on the database', async () => {
    const other = await startService({}, service.database);
    try {
      const { id, email } = await register(service);
      const unknown = newEmail();
      for (const at of [service, other, service, other, service]) {
        await fail({ email }, at);
        await fail({ email: unknown }, at);
      }
      await refused({ email }, PASSWORD, other);
      await refused({ email: unknown }, PASSWORD, other);

      await service.users.unlockUser({ userId: id });
      const results = await atOnce(60, (index) => login({ email }, WRONG, index % 2 ? service : other));
      expect(tally(results)).toEqual({ INVALID_CREDENTIALS: 5, TOO_MANY_ATTEMPTS: 55 });
    } finally {
      await other.stop();
    }
  });

  it('has the limits that are set', async () => {
    const strict = await startService({ LOCKOUT_MAX_ATTEMPTS: '1', LOCKOUT_DURATION: '60' }, service.database);
    try {
      for (const { email } of [await register(strict), { email: newEmail() }]) {
        await fail({ email }, strict);
        expect((await refused({ email }, WRONG, strict)).retryAfterSeconds).toBeLessThanOrEqual(60);
        strict.clock.advance(61);
        await fail({ email }, strict);
        await refused({ email }, WRONG, strict);
      }
      const { email } = await register(strict);
      await logIn(strict, email);
      await logIn(strict, email);
    } finally {
      await strict.stop();
    }
  });
});

describe('beside the rate limits, the lockout', () => {
  it('has the say by default: 5 of 200 wrong passwords sent at once from one address are compared', async () => {
    const { rateLimits } = loadConfig({ DATABASE_URL: service.database.url, JWT_SECRET_KEY: SECRET_KEY });
    expect(Math.min(...Object.values(rateLimits))).toBeGreaterThan(0);
    const byDefault = await startService({
      RATE_LIMIT_PER_CALLER: String(rateLimits.perCaller),
      RATE_LIMIT_PER_USER: String(rateLimits.perUser),
      RATE_LIMIT_PER_ADDRESS: String(rateLimits.perAddress),
      RATE_LIMIT_PER_IDENTIFIER: String(rateLimits.perIdentifier),
    });
    try {
      for (const { email } of [await register(byDefault), { email: newEmail() }]) {
        const results = await atOnce(200, () => login({ email }, WRONG, byDefault));
        expect(tally(results)).toEqual({ INVALID_CREDENTIALS: 5, TOO_MANY_ATTEMPTS: 195 });
      }
    } finally {
      await byDefault.stop();
    }
  });

  it('is told apart from them, and lets no guess through that they refuse', async () => {
    const limited = await startService({ RATE_LIMIT_PER_IDENTIFIER: '10' });
    try {
      for (const { email } of [await register(limited), { email: newEmail() }]) {
        const results = await atOnce(30, () => login({ email }, WRONG, limited));
        expect(tally(results)).toEqual({ INVALID_CREDENTIALS: 5, TOO_MANY_ATTEMPTS: 5, RATE_LIMITED: 20 });
        const failures = results.flatMap((result) => (result.status === 'rejected' ? [decode(result.reason)] : []));
        for (const { code, reason, retryAfterSeconds } of failures) {
          if (reason === 'INVALID_CREDENTIALS') continue;
          expect(code).toBe('RESOURCE_EXHAUSTED');
          if (reason === 'RATE_LIMITED') expect(retryAfterSeconds).toBeLessThanOrEqual(60);
          else expect(isASecondOrALock(retryAfterSeconds)).toBe(true);
        }
      }
    } finally {
      await limited.stop();
    }
  });
});

describe('the end of a lock in the audit trail', () => {
  const unlocks = async (userId: string) =>
    (
      await rows<{ reason: string }>(
        service,
        `select metadata->>'reason' as reason from audit_events where type = 'user.unlocked' and user_id = $1`,
        [userId],
      )
    ).map(({ reason }) => reason);

  async function locked() {
    const user = await register(service);
    for (let failed = 0; failed < 5; failed++) {
      await expectStatus(service.auth.login({ email: user.email, password: 'wrong' }), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
    }
    return user;
  }

  it('is told by the first sign-in after it has run out', async () => {
    const { id, email } = await locked();
    service.clock.advance(1800);
    await logIn(service, email);
    expect(await unlocks(id)).toEqual(['auto']);
    await logIn(service, email);
    expect(await unlocks(id)).toEqual(['auto']);
  });

  it('is told by a wrong password after it has run out, too, and once', async () => {
    const { id, email } = await locked();
    service.clock.advance(1800);
    await expectStatus(service.auth.login({ email, password: 'wrong' }), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
    await logIn(service, email);
    expect(await unlocks(id)).toEqual(['auto']);
  });

  it('is not told of a right password that was the last attempt allowed', async () => {
    const { id, email } = await register(service);
    for (let failed = 0; failed < 4; failed++) {
      await expectStatus(service.auth.login({ email, password: 'wrong' }), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
    }
    await logIn(service, email);
    expect(await unlocks(id)).toEqual([]);
  });

  it('has the reason manual where somebody lifts it', async () => {
    const { id } = await locked();
    await service.users.unlockUser({ userId: id });
    expect(await unlocks(id)).toEqual(['manual']);
  });
});
