import { randomUUID } from 'node:crypto';
import bcrypt from 'bcrypt';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { DummyHashes } from '../../../src/auth/passwords/dummy-hashes.ts';
import { samplePasswordHashes } from '../../../src/users/password-hash-sample.repository.ts';
import { newEmail, register } from '../../support/builders.ts';
import { createDatabase, type TestDatabase } from '../../support/database.ts';
import { expectStatus } from '../../support/expect-status.ts';
import { rows } from '../../support/rows.ts';
import { startService, type TestService, useService } from '../../support/service.ts';

const bcryptOf = (cost: string) => `$2b$${cost}$${'abcdefghijklmnopqrstuu'}${'x'.repeat(30)}e`;

/** Accounts with this hash, as an import makes them. */
async function addAccounts(service: Pick<TestService, 'database'>, passwordHash: string, count: number): Promise<void> {
  await rows(
    service,
    `with added as (
       insert into users (email, password_hash) select gen_random_uuid() || '@example.com', $1 from generate_series(1, $2) returning id
     ) insert into profiles (user_id, first_name, full_name) select id, '', '' from added`,
    [passwordHash, count],
  );
}

/** The costs of the bcrypt hashes that a call computes. */
async function costsOf(call: () => Promise<unknown>): Promise<string[]> {
  const hash = vi.spyOn(bcrypt, 'hash');
  try {
    await call();
    return hash.mock.calls.map(([, salt]) => String(salt).slice(4, 6));
  } finally {
    hash.mockRestore();
  }
}

describe('a login to an account that does not exist', () => {
  let database: TestDatabase;
  let service: TestService;
  beforeAll(async () => {
    database = await createDatabase();
    await addAccounts({ database }, bcryptOf('05'), 60);
    await addAccounts({ database }, bcryptOf('06'), 20);
    await addAccounts({ database }, `bcrypt-hmac-sha384:${bcryptOf('07')}`, 20);
    service = await startService({ LOCKOUT_MAX_ATTEMPTS: '1000' }, database);
  });
  afterAll(async () => {
    await service.stop();
    await database.drop();
  });

  const guess = (email: string) =>
    expectStatus(service.auth.login({ email, password: 'not the password' }), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');

  it('costs what the accounts cost that there are, each as often as it is there', async () => {
    const costs: string[] = [];
    for (let count = 0; count < 300; count++) costs.push(...(await costsOf(() => guess(newEmail()))));
    expect(costs).toHaveLength(300);
    const share = (cost: string) => costs.filter((each) => each === cost).length / costs.length;
    // Four standard deviations of 300 draws.
    expect(Math.abs(share('05') - 0.6)).toBeLessThan(0.12);
    expect(Math.abs(share('06') - 0.2)).toBeLessThan(0.1);
    expect(Math.abs(share('07') - 0.2)).toBeLessThan(0.1);
  });

  it('costs the same each time', async () => {
    for (let count = 0; count < 10; count++) {
      const email = newEmail();
      const first = await costsOf(() => guess(email));
      for (let again = 0; again < 5; again++) expect(await costsOf(() => guess(email))).toEqual(first);
    }
  });

  it('costs what one to an account without a password costs, by each of its identifiers', async () => {
    const costs = new Set<string | undefined>();
    for (let count = 0; count < 12; count++) {
      const username = `u${randomUUID().replaceAll('-', '')}`;
      const { email } = await register(service, { username, password: undefined });
      const byEmail = await costsOf(() => guess(email));
      const byUsername = () =>
        expectStatus(service.auth.login({ username, password: 'not the password' }), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
      expect(await costsOf(byUsername)).toEqual(byEmail);
      costs.add(byEmail[0]);
    }
    expect(costs.size).toBeGreaterThan(1);
  });
});

describe('the sample of the stored hashes', () => {
  const service = useService();

  it('tells each scheme with its parameters, without salt and hash', async () => {
    const field = (length: number) => 'A'.repeat(length);
    const schemes = [
      '$2b$10$',
      'bcrypt-hmac-sha384:$2b$12$',
      'argon2id-hmac-sha384:$argon2id$v=19$m=19456,t=2,p=1$',
      '$argon2i$v=19$m=4096,t=3,p=1$',
      '$scrypt$ln=14,r=8,p=1$',
      '$fbscrypt$v=1,n=14,r=8,p=1,ss=Bw==,sk=AAAA+/==$',
      '$pbkdf2-sha256$i=600000,l=32$',
      'pbkdf2_sha256$720000$',
    ].sort();
    for (const scheme of schemes) {
      await addAccounts(service, scheme + (scheme.includes('$2b$') ? field(53) : `${field(22)}$${field(43)}`), 2);
    }
    await register(service, { password: undefined });
    const sample = await samplePasswordHashes(service.app.orm.em.fork());
    expect(sample.map(({ scheme }) => scheme).sort()).toEqual(schemes);
    for (const { scheme, passwordHash, count } of sample) {
      expect(count).toBe(2);
      expect(passwordHash.startsWith(scheme)).toBe(true);
    }
  });
});

describe('the dummy of an identifier', () => {
  const dummiesOf = async (counts: Readonly<Record<string, number>>) => {
    const sample = async () => Object.entries(counts).map(([scheme, count]) => ({ scheme, passwordHash: `${scheme}AAAA`, count }));
    const read = (stored: string) => ({ scheme: stored.slice(0, 1), verify: () => Promise.reject(new Error('never asked')) });
    const dummies = new DummyHashes({ sample, read, current: 'z' });
    await dummies.refresh();
    return (identity: string) => (dummies.of(identity) as ReturnType<typeof read>).scheme;
  };

  it('is another one for few of them when the accounts change', async () => {
    const [before, after] = [await dummiesOf({ a: 50, b: 30, c: 20 }), await dummiesOf({ a: 52, b: 29, c: 21 })];
    const identities = Array.from({ length: 2000 }, () => randomUUID());
    const changed = identities.filter((identity) => before(identity) !== after(identity));
    expect(changed.length).toBeLessThan(2000 * 0.04);
  });

  it('is of the scheme of today where there are no accounts, and where the database does not answer', async () => {
    expect((await dummiesOf({}))('anybody')).toBe('z');
    const read = (stored: string) => ({ scheme: stored, verify: () => Promise.reject(new Error('never asked')) });
    const dummies = new DummyHashes({ sample: () => Promise.reject(new Error('away')), read, current: 'z' });
    await dummies.refresh();
    expect(dummies.of('anybody')).toMatchObject({ scheme: expect.stringMatching(/^z/) });
  });
});
