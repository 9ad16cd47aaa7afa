import { createHash, pbkdf2Sync, randomBytes, scryptSync } from 'node:crypto';
import bcrypt from 'bcrypt';
import { describe, expect, it } from 'vitest';
import { problemOfHash } from '../../../src/auth/passwords/password-scheme.ts';
import { logIn, PASSWORD, register } from '../../support/builders.ts';
import { expectStatus } from '../../support/expect-status.ts';
import { counterOf, storedHash, storeHash } from '../../support/passwords.ts';
import { rows } from '../../support/rows.ts';
import { useService } from '../../support/service.ts';
import { VECTORS } from './vectors.ts';

const service = useService();

async function accountWith(hash: string) {
  const user = await register(service, { password: undefined });
  await storeHash(service, user.id, hash);
  return user;
}

const refused = (email: string, password: string) =>
  expectStatus(service.auth.login({ email, password }), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');

const base64 = (bytes: Buffer) => bytes.toString('base64').replace(/=+$/, '');
const zeros = (bytes: number) => base64(Buffer.alloc(bytes));

describe('a hash from another system', () => {
  it.each(VECTORS)('lets its user in, and nobody else, and is replaced by that: $origin', async ({ password, hash }) => {
    const { id, email } = await accountWith(hash);
    expect(problemOfHash(hash)).toBeUndefined();
    for (const wrong of ['wrong', `x${password.slice(1)}`]) await refused(email, wrong);
    expect(await storedHash(service, id)).toBe(hash);

    await logIn(service, email, password);
    expect(await storedHash(service, id)).toMatch(/^bcrypt-hmac-sha384:\$2b\$04\$/);
    await refused(email, 'wrong');
    await logIn(service, email, password);
  });

  it.each(VECTORS)('does not match where one bit of it is another: $origin', async ({ password, hash }) => {
    // Within the hash: in its last character there may be bits to spare.
    const at = hash.replace(/=+$/, '').length - 5;
    const { email } = await accountWith(`${hash.slice(0, at)}${hash[at] === 'A' ? 'B' : 'A'}${hash.slice(at + 1)}`);
    await refused(email, password);
  });

  it('lets its user in with a password that could not be set today', async () => {
    for (const password of ['1', 'password', 'identity']) {
      const { id, email } = await accountWith(bcrypt.hashSync(password, 4));
      await logIn(service, email, password);
      expect(await storedHash(service, id)).toMatch(/^bcrypt-hmac-sha384:/);
      await logIn(service, email, password);
    }
  });

  it('of bcrypt matches whatever fills the spare bits of its salt', async () => {
    const hash = bcrypt.hashSync(PASSWORD, `$2b$04$${'a'.repeat(21)}O`);
    // P and O differ in the spare bits only.
    const filled = hash.replace(/O(?=.{31}$)/, 'P');
    expect(filled).not.toBe(hash);
    await logIn(service, (await accountWith(filled)).email);
  });

  it('of bcrypt is that of the first 72 bytes until the first login has replaced it', async () => {
    const stem = 'x'.repeat(72);
    const { email } = await accountWith(bcrypt.hashSync(stem, 4));
    await logIn(service, email, `${stem} and this`);
    await logIn(service, email, `${stem} and this`);
    await refused(email, stem);
  });
});

describe('a stored hash that nobody understands', () => {
  const UNKNOWN = [
    '',
    'x',
    'sha1$salt$hash',
    '{SSHA}abc',
    '$2x$04$abc',
    '$2b$04$short',
    '$argon2d$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaA',
    'null',
  ];

  it.each(UNKNOWN)('matches nothing, and is counted as a wrong password: %j', async (hash) => {
    const { id, email } = await accountWith(hash);
    for (const password of [hash, PASSWORD, 'x'].filter((text) => text !== '')) await refused(email, password);
    expect((await counterOf(service, id)).failed).toBeGreaterThanOrEqual(2);
    expect(await storedHash(service, id)).toBe(hash);
  });

  it('matches nothing where it would cost more than a login may', async () => {
    const salt = randomBytes(16);
    const hash = scryptSync(PASSWORD, salt, 32, { N: 2, r: 8, p: 99 });
    await logIn(service, (await accountWith(`$scrypt$ln=1,r=8,p=99$${base64(salt)}$${base64(hash)}`)).email);
    await refused((await accountWith(`$scrypt$ln=1,r=8,p=100$${base64(salt)}$${base64(hash)}`)).email, PASSWORD);
  });

  it('is no obstacle in the history', async () => {
    const { id, email } = await register(service);
    await rows(
      service,
      `insert into password_history (id, user_id, password_hash, created_at) values (gen_random_uuid(), $1, 'x', now())`,
      [id],
    );
    await service.auth.changePassword({ userId: id, currentPassword: PASSWORD, newPassword: 'something altogether new' });
    await logIn(service, email, 'something altogether new');
  });
});

describe('what an import may bring', () => {
  const SIGNER = base64(randomBytes(64));
  const firebase = (n: number, signer = SIGNER) => `$fbscrypt$v=1,n=${n},r=8,p=1,ss=Bw==,sk=${signer}$${zeros(10)}$${zeros(64)}`;
  const bcryptOf = (cost: string, version = '2b') => `$${version}$${cost}$${'a'.repeat(53)}`;
  const argon2 = (parameters: string, name = 'argon2id') => `$${name}$v=19$${parameters}$${zeros(16)}$${zeros(32)}`;
  const scrypt = (parameters: string) => `$scrypt$${parameters}$${zeros(16)}$${zeros(32)}`;
  const pbkdf2 = (parameters: string, name = 'pbkdf2-sha256') => `$${name}$${parameters}$${zeros(16)}$${zeros(32)}`;

  it.each([
    ['bcrypt of cost 4', bcryptOf('04')],
    ['bcrypt of cost 16', bcryptOf('16', '2y')],
    ['argon2id of 1 GiB, four passes', argon2('m=1048576,t=4,p=1')],
    ['argon2i with 16 lanes', argon2('m=128,t=1,p=16', 'argon2i')],
    ['scrypt of 1 GiB', scrypt('ln=20,r=8,p=2')],
    ['Firebase of 1 GiB', firebase(20)],
    ['Firebase in the URL-safe alphabet', firebase(14, SIGNER.replaceAll('+', '-').replaceAll('/', '_'))],
    ['5,000,000 iterations of PBKDF2', pbkdf2('i=5000000')],
    ['PBKDF2 with the length of its hash', pbkdf2('i=1,l=32')],
    ['5,000,000 iterations of Django', `pbkdf2_sha256$5000000$saltsaltsalt$${zeros(32)}=`],
    ['one of ours, of another installation', `bcrypt-hmac-sha384:${bcryptOf('12')}`],
    ['one of ours with argon2id', `argon2id-hmac-sha384:${argon2('m=19456,t=2,p=1')}`],
  ])('is %s', (_, hash) => {
    expect(problemOfHash(hash)).toBeUndefined();
  });

  it.each([
    ['nothing', ''],
    ['a plain password', 'hunter2'],
    ['a plain digest', createHash('sha256').update('x').digest('hex')],
    ['bcrypt of cost 3', bcryptOf('03')],
    ['bcrypt of cost 17', bcryptOf('17')],
    ['bcrypt of cost 31', bcryptOf('31')],
    ['bcrypt of no version', bcryptOf('10', '2')],
    ['bcrypt of the version with the defect', bcryptOf('10', '2x')],
    ['bcrypt that was cut off', bcryptOf('10').slice(0, -1)],
    ['bcrypt with a line break', `${bcryptOf('10')}\n`],
    ['argon2d', argon2('m=8,t=1,p=1', 'argon2d')],
    ['argon2id of version 1.0', argon2('m=8,t=1,p=1').replace('v=19', 'v=16')],
    ['argon2id of more than 1 GiB', argon2('m=1048577,t=1,p=1')],
    ['argon2id of more than 4 GiB altogether', argon2('m=1048576,t=5,p=1')],
    ['argon2id of a billion passes', argon2('m=8,t=99999999,p=1')],
    ['argon2id with 17 lanes', argon2('m=1024,t=1,p=17')],
    ['argon2id with too little memory for its lanes', argon2('m=8,t=1,p=2')],
    ['argon2id without passes', argon2('m=8,t=0,p=1')],
    ['argon2id with a salt of 7 bytes', argon2('m=8,t=1,p=1').replace(zeros(16), zeros(7))],
    ['argon2id with a hash of 15 bytes', `$argon2id$v=19$m=8,t=1,p=1$${zeros(16)}$${zeros(15)}`],
    ['argon2id with a hash of 65 bytes', `$argon2id$v=19$m=8,t=1,p=1$${zeros(16)}$${zeros(65)}`],
    ['scrypt of 2 GiB', scrypt('ln=21,r=8,p=1')],
    ['scrypt of 1 GiB three times', scrypt('ln=20,r=8,p=3')],
    ['scrypt with N = 2^63', scrypt('ln=63,r=1,p=1')],
    ['scrypt with N = 2^16 for r = 1, which it does not know', scrypt('ln=16,r=1,p=1')],
    ['scrypt without blocks', scrypt('ln=10,r=0,p=1')],
    ['scrypt with 100 blocks', scrypt('ln=10,r=100,p=1')],
    ['Firebase of 2 GiB', firebase(21)],
    ['Firebase with a signer key of another length', firebase(14, base64(randomBytes(32)))],
    ['Firebase without a signer key', firebase(14).replace(/,sk=[^$]+/, '')],
    ['5,000,001 iterations of PBKDF2', pbkdf2('i=5000001')],
    ['PBKDF2 without iterations', pbkdf2('i=0')],
    ['PBKDF2 with another length than its hash has', pbkdf2('i=1,l=20')],
    ['PBKDF2 with an unknown digest', pbkdf2('i=1', 'pbkdf2-md5')],
    ['Django with an unknown digest', `pbkdf2_md5$1000$saltsaltsalt$${zeros(32)}=`],
    ['5,000,001 iterations of Django', `pbkdf2_sha256$5000001$saltsaltsalt$${zeros(32)}=`],
    ['Django with a salt of 2 bytes', `pbkdf2_sha256$1000$ab$${zeros(32)}=`],
    ['one that is longer than the column', `pbkdf2_sha256$1000$${'a'.repeat(500)}$${zeros(32)}=`],
    ['ours around another scheme', `bcrypt-hmac-sha384:${argon2('m=8,t=1,p=1')}`],
    ['ours of too high a cost', `bcrypt-hmac-sha384:${bcryptOf('17')}`],
  ])('is not %s', (_, hash) => {
    const problem = problemOfHash(hash);
    expect(problem).toMatch(/^(is|has|must) /);
    // Nothing of the value is told.
    expect(problem).not.toContain(hash.slice(-20) || '-');
  });

  it('lets its user in at the bound of its cost, too', async () => {
    const salt = randomBytes(16);
    const hash = pbkdf2Sync(PASSWORD, salt, 5_000_000, 32, 'sha256');
    const { email } = await accountWith(`$pbkdf2-sha256$i=5000000$${base64(salt)}$${base64(hash)}`);
    // On a busy machine, at the low priority of hashes, it takes longer than calls without a deadline of their own may.
    await service.auth.login({ email, password: PASSWORD }, { timeout: 50_000 });
  });
});
