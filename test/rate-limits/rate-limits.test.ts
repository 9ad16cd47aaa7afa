import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newEmail, PASSWORD, register, required, signedIn } from '../support/builders.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { expectInvalid, expectStatus, failureOf } from '../support/expect-status.ts';
import { startService, type TestService } from '../support/service.ts';

const WINDOW_SECONDS = 60;
const ADDRESS = '203.0.113.9';
/** An address that no other call has. */
let addresses = 0;
const newAddress = () => `10.0.${addresses >> 8}.${addresses++ & 255}`;
const running: TestService[] = [];
const databases: TestDatabase[] = [];

async function start(env: Record<string, string>, database?: TestDatabase): Promise<TestService> {
  const service = await startService(env, database);
  running.push(service);
  return service;
}

afterAll(async () => {
  await Promise.all(running.map((service) => service.stop()));
  await Promise.all(databases.map((database) => database.drop()));
});

/** The key of a new service account with a role. */
async function keyOf({ serviceAccounts, apiKeys }: TestService, name: string, role: string): Promise<string> {
  const { serviceAccount } = await serviceAccounts.createServiceAccount({ name, roles: [role] });
  const { key } = await apiKeys.createApiKey({ serviceAccountId: required(serviceAccount).id, name: 'test' });
  return key;
}

const reasonsOf = (calls: Promise<unknown>[]) =>
  Promise.all(
    calls.map((call) =>
      call.then(
        () => 'ok',
        (error) => failureOf(Promise.reject(error)).then(({ reason }) => reason),
      ),
    ),
  );

const times = (reasons: (string | undefined)[], reason: string) => reasons.filter((each) => each === reason).length;

describe('the limit of calls per caller', () => {
  it('is shared by all replicas, and leaves other callers alone', async () => {
    const database = await createDatabase();
    databases.push(database);
    const limit = 100;
    const one = await start({ RATE_LIMIT_PER_CALLER: String(limit) }, database);
    const key = await keyOf(one, 'busy', 'reader');
    const two = await start({ RATE_LIMIT_PER_CALLER: String(limit) }, database);

    const calls = Array.from({ length: 2 * limit }, (_, index) => (index % 2 ? one : two).auth.getCaller({}, { token: key }));
    const reasons = await reasonsOf(calls);

    expect(times(reasons, 'ok')).toBeLessThanOrEqual(limit);
    expect(times(reasons, 'ok')).toBeGreaterThan(0);
    expect(times(reasons, 'ok') + times(reasons, 'RATE_LIMITED')).toBe(2 * limit);
    const { retryAfterSeconds } = await expectStatus(one.auth.getCaller({}, { token: key }), 'RESOURCE_EXHAUSTED', 'RATE_LIMITED');
    expect(retryAfterSeconds).toBeGreaterThan(0);
    expect(retryAfterSeconds).toBeLessThanOrEqual(WINDOW_SECONDS);
    await one.auth.getCaller({});
  });
});

describe('the limit of calls per end user', () => {
  it('is shared by all replicas and by all credentials of theirs, and leaves other users and backends alone', async () => {
    const database = await createDatabase();
    databases.push(database);
    const limit = 100;
    const env = { RATE_LIMIT_PER_USER: String(limit) };
    const [one, two] = [await start(env, database), await start(env, database)];
    const [{ user, tokens }, other] = [await signedIn(one), await signedIn(one)];
    const { key } = await one.apiKeys.createApiKey({ userId: user.id, name: 'own' });

    const calls = Array.from({ length: 3 * limit }, (_, index) =>
      (index % 2 ? one : two).auth.getCaller({}, { token: index % 3 ? tokens.accessToken : key }),
    );
    const reasons = await reasonsOf(calls);

    expect(times(reasons, 'ok')).toBeLessThanOrEqual(limit);
    expect(times(reasons, 'ok')).toBeGreaterThan(0);
    expect(times(reasons, 'ok') + times(reasons, 'RATE_LIMITED')).toBe(3 * limit);
    for (const token of [tokens.accessToken, key]) {
      const refused = one.users.getUser({ userId: user.id }, { token });
      const { retryAfterSeconds } = await expectStatus(refused, 'RESOURCE_EXHAUSTED', 'RATE_LIMITED');
      expect(retryAfterSeconds).toBeGreaterThan(0);
      expect(retryAfterSeconds).toBeLessThanOrEqual(WINDOW_SECONDS);
    }
    await one.auth.getCaller({}, { token: other.tokens.accessToken });
    expect(times(await reasonsOf(Array.from({ length: 2 * limit }, () => one.auth.getCaller({}))), 'ok')).toBe(2 * limit);
  });
});

describe('the limits of credential checks', () => {
  let service: TestService;
  beforeAll(async () => {
    service = await start({ RATE_LIMIT_PER_ADDRESS: '10', RATE_LIMIT_PER_IDENTIFIER: '5', LOCKOUT_MAX_ATTEMPTS: '1000' });
  });

  const guess = (email: string, ipAddress = newAddress(), token?: string) =>
    service.auth.login({ email, password: 'wrong password', client: { ipAddress } }, token === undefined ? {} : { token });

  it('stop one identifier, known or not, and not the others', async () => {
    const known = (await register(service)).email;
    for (const email of [known, newEmail()]) {
      const reasons = await reasonsOf(Array.from({ length: 20 }, () => guess(email)));
      expect([times(reasons, 'INVALID_CREDENTIALS'), times(reasons, 'RATE_LIMITED')]).toEqual([5, 15]);
    }
    await expectStatus(guess(newEmail()), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
  });

  it('stop one address, whatever accounts it tries, for each RPC apart', async () => {
    const reasons = await reasonsOf(Array.from({ length: 20 }, () => guess(newEmail(), ADDRESS)));
    expect([times(reasons, 'INVALID_CREDENTIALS'), times(reasons, 'RATE_LIMITED')]).toEqual([10, 10]);
    await expectStatus(guess(newEmail(), '203.0.113.10'), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');

    const client = { ipAddress: ADDRESS };
    const registered = await reasonsOf(Array.from({ length: 20 }, () => service.auth.register({ email: newEmail(), client })));
    expect([times(registered, 'ok'), times(registered, 'RATE_LIMITED')]).toEqual([10, 10]);
    const refreshed = await reasonsOf(Array.from({ length: 20 }, () => service.auth.refreshToken({ refreshToken: 'unknown', client })));
    expect([times(refreshed, 'INVALID_REFRESH_TOKEN'), times(refreshed, 'RATE_LIMITED')]).toEqual([10, 10]);
  });

  it('stop requests for mails: of one address, and of one identifier whether somebody has it or not, for each RPC apart', async () => {
    const known = (await register(service)).email;
    for (const method of ['requestEmailVerification', 'requestPasswordReset', 'requestLoginCode'] as const) {
      const request = (email: string, ipAddress = newAddress()) => service.auth[method]({ email, client: { ipAddress } });
      for (const email of [known, newEmail()]) {
        const reasons = await reasonsOf(Array.from({ length: 20 }, () => request(email)));
        expect([times(reasons, 'ok'), times(reasons, 'RATE_LIMITED')]).toEqual([5, 15]);
      }
      const reasons = await reasonsOf(Array.from({ length: 20 }, () => request(newEmail(), '203.0.113.20')));
      expect([times(reasons, 'ok'), times(reasons, 'RATE_LIMITED')]).toEqual([10, 10]);
      const { retryAfterSeconds } = await expectStatus(request(known), 'RESOURCE_EXHAUSTED', 'RATE_LIMITED');
      expect(retryAfterSeconds).toBeGreaterThan(0);
      await request(newEmail(), '203.0.113.21');
    }
    const requests = await service.database.pool.query(
      `select count(*)::int as count from audit_events where type like 'user.%_requested' and user_id = (select id from users where email = $1)
       group by type`,
      [known],
    );
    // What is refused leaves nothing behind, and no mail: Register has asked for one, too.
    expect(requests.rows.map(({ count }) => count).sort()).toEqual([5, 5, 6]);
  });

  it('stop codes: of one address, and of one identifier whether somebody has it or not', async () => {
    const login = (email: string, ipAddress = newAddress()) =>
      service.auth.loginWithCode({ email, code: '12345678', client: { ipAddress } });
    for (const email of [(await register(service)).email, newEmail()]) {
      const reasons = await reasonsOf(Array.from({ length: 20 }, () => login(email)));
      expect([times(reasons, 'INVALID_CREDENTIALS'), times(reasons, 'RATE_LIMITED')]).toEqual([5, 15]);
    }
    const reasons = await reasonsOf(Array.from({ length: 20 }, () => login(newEmail(), '203.0.113.30')));
    expect([times(reasons, 'INVALID_CREDENTIALS'), times(reasons, 'RATE_LIMITED')]).toEqual([10, 10]);
    await expectStatus(login(newEmail(), '203.0.113.31'), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
  });

  it('stop reset tokens of one address', async () => {
    const reset = (ipAddress: string) =>
      service.auth.resetPassword({ resetToken: 'unknown', newPassword: 'an entirely different secret', client: { ipAddress } });
    const reasons = await reasonsOf(Array.from({ length: 20 }, () => reset('203.0.113.40')));
    expect([times(reasons, 'INVALID_RESET_TOKEN'), times(reasons, 'RATE_LIMITED')]).toEqual([10, 10]);
    await expectStatus(reset('203.0.113.41'), 'UNAUTHENTICATED', 'INVALID_RESET_TOKEN');
  });

  it('stop one IPv6 network of a /64, and one IPv4 address, however they are spelled', async () => {
    const ofOneNetwork = Array.from({ length: 12 }, (_, index) => {
      const host = (index + 0xa0).toString(16);
      const spellings = [`2001:db8:0:7::${host}`, `2001:0DB8:0000:0007:0:0:0:${host.toUpperCase()}`, `2001:db8::7:${host}:0:0:1`];
      return spellings[index % 3] as string;
    });
    const ofOneAddress = ['198.51.100.9', '::ffff:198.51.100.9', '::FFFF:C633:6409', '0:0:0:0:0:ffff:c633:6409'];
    for (const [spellings, neighbour] of [
      [ofOneNetwork, '2001:db8:0:8::a0'],
      [[...ofOneAddress, ...ofOneAddress, ...ofOneAddress], '::ffff:198.51.100.10'],
    ] as const) {
      const reasons = await reasonsOf(spellings.map((ipAddress) => guess(newEmail(), ipAddress)));
      expect([times(reasons, 'INVALID_CREDENTIALS'), times(reasons, 'RATE_LIMITED')]).toEqual([10, 2]);
      await expectStatus(guess(newEmail(), neighbour), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
    }
  });

  it.each(['fe80::1%eth0', '::ffff:1.2.3', '203.0.113.9:443', '[::1]'])('refuse %s: it is no address', async (ipAddress) => {
    await expectInvalid(guess(newEmail(), ipAddress), ['client.ip_address']);
  });

  it('believe an address only from a caller that may vouch for it; all that another one asks is of one origin', async () => {
    await service.roles.createRole({ role: { name: 'login-only', permissions: ['identity.auth.login'] } });
    const [key, other] = [await keyOf(service, 'unvouched', 'login-only'), await keyOf(service, 'unvouched-too', 'login-only')];
    const victim = '203.0.113.66';
    const reasons = await reasonsOf(Array.from({ length: 20 }, () => guess(newEmail(), victim, key)));
    expect([times(reasons, 'INVALID_CREDENTIALS'), times(reasons, 'RATE_LIMITED')]).toEqual([10, 10]);
    await expectStatus(guess(newEmail(), newAddress(), key), 'RESOURCE_EXHAUSTED', 'RATE_LIMITED');
    await expectStatus(guess(newEmail(), victim), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
    await expectStatus(guess(newEmail(), victim, other), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
  });

  it('count a backend that tells no address as one origin', async () => {
    const key = await keyOf(service, 'without-addresses', 'service');
    const reasons = await reasonsOf(Array.from({ length: 20 }, () => guess(newEmail(), '', key)));
    expect([times(reasons, 'INVALID_CREDENTIALS'), times(reasons, 'RATE_LIMITED')]).toEqual([10, 10]);
    await expectStatus(guess(newEmail(), newAddress(), key), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
  });

  it('keep no address and no identifier in the clear', async () => {
    const email = newEmail();
    await failureOf(guess(email, '203.0.113.77'));
    const { rows } = await service.database.pool.query<{ key: string }>('select key from rate_limits');
    expect(rows.length).toBeGreaterThan(0);
    for (const { key } of rows) for (const secret of [email, '203.0.113']) expect(key).not.toContain(secret);
  });
});

describe('without the store of the limits', () => {
  it('reads go on and credential checks are refused', async () => {
    const service = await start({ RATE_LIMIT_PER_ADDRESS: '10' });
    const user = await register(service);
    await service.database.pool.query('alter table rate_limits rename to elsewhere');

    expect((await service.users.getUser({ userId: user.id })).user?.id).toBe(user.id);
    const key = await keyOf(service, 'newcomer', 'reader');
    expect((await service.users.getUser({ userId: user.id }, { token: key })).user?.id).toBe(user.id);
    await expectStatus(service.auth.login({ email: user.email, password: PASSWORD }), 'UNAVAILABLE', 'DATABASE_UNAVAILABLE');
  });
});

describe('a limit of 0', () => {
  it('is none', async () => {
    const service = await start({ RATE_LIMIT_PER_CALLER: '0', RATE_LIMIT_PER_IDENTIFIER: '0', LOCKOUT_MAX_ATTEMPTS: '1000' });
    const email = newEmail();
    const reasons = await reasonsOf(
      Array.from({ length: 40 }, () => service.auth.login({ email, password: 'wrong', client: { ipAddress: ADDRESS } })),
    );
    expect(times(reasons, 'INVALID_CREDENTIALS')).toBe(40);
    const { rowCount } = await service.database.pool.query('select 1 from rate_limits');
    expect(rowCount).toBe(0);
  });
});
