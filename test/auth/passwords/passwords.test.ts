import { createHmac } from 'node:crypto';
import bcrypt from 'bcrypt';
import { describe, expect, it, vi } from 'vitest';
import { atOnce, logIn, newEmail, PASSWORD, register } from '../../support/builders.ts';
import { expectInvalid, expectStatus, failureOf } from '../../support/expect-status.ts';
import { counterOf, everythingStored, storedHash, storeHash } from '../../support/passwords.ts';
import { rows } from '../../support/rows.ts';
import { startService, type TestService, useService } from '../../support/service.ts';

const service = useService();

const refused = (at: TestService, email: string, password: string) =>
  expectStatus(at.auth.login({ email, password }), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');

/** Another service on the same database, with other settings. */
async function withService(env: Record<string, string>, run: (other: TestService) => Promise<void>): Promise<void> {
  const other = await startService(env, service.database);
  try {
    await run(other);
  } finally {
    await other.stop();
  }
}

const historyOf = async (userId: string) =>
  (await rows<{ password_hash: string }>(service, 'select password_hash from password_history where user_id = $1', [userId])).map(
    ({ password_hash }) => password_hash,
  );

describe('a password', () => {
  const STEM = 'x'.repeat(72);

  it.each([
    ['differs only after byte 72', `${STEM}a`, `${STEM}b`],
    ['is longer than byte 72', STEM, `${STEM}a`],
    ['differs only after a NUL', 'a password\0a', 'a password\0b'],
    ['ends before a NUL', 'a password', 'a password\0'],
    ['differs in case', 'A Password', 'a password'],
    ['has a space more', 'a password', 'a password '],
    ['differs only in the last of 1,024 bytes', `${'y'.repeat(1023)}a`, `${'y'.repeat(1023)}b`],
    ['has another emoji', 'key 🔑🔑🔑🔑', 'key 🔑🔑🔑🗝'],
  ])('is another one where it %s', async (_, right, wrong) => {
    const { email } = await register(service, { password: right });
    await refused(service, email, wrong);
    await logIn(service, email, right);
  });

  it('is stored under a name of its scheme, with a salt', async () => {
    const [one, two] = [await register(service), await register(service)];
    const hashes = [await storedHash(service, one.id), await storedHash(service, two.id)];
    for (const hash of hashes) expect(hash).toMatch(/^bcrypt-hmac-sha384:\$2b\$04\$[./A-Za-z0-9]{53}$/);
    expect(hashes[0]).not.toBe(hashes[1]);
    expect(await historyOf(one.id)).toEqual([hashes[0]]);
  });

  it('is in no table, and neither it nor its hash in an error', async () => {
    const secrets = ['first secret 4711', 'second secret 4712', 'wrong secret 4713', `toolong4714${'z'.repeat(1024)}`, 'tiny471'];
    const [first = '', second = '', wrong = '', tooLong = '', tooShort = ''] = secrets;
    const { id, email } = await register(service, { password: first });
    const failures = await Promise.all(
      [
        service.auth.register({ email, password: first }),
        service.auth.register({ email: newEmail(), password: tooLong }),
        service.auth.register({ email: newEmail(), password: tooShort }),
        service.auth.login({ email, password: wrong }),
        service.auth.login({ email, password: tooLong }),
        service.auth.changePassword({ userId: id, currentPassword: wrong, newPassword: second }),
        service.auth.changePassword({ userId: id, currentPassword: first, newPassword: first }),
      ].map(failureOf),
    );
    await service.auth.changePassword({ userId: id, currentPassword: first, newPassword: second });
    await logIn(service, email, second);

    const told = JSON.stringify(failures);
    const stored = await everythingStored(service);
    expect(stored).toContain(email);
    for (const secret of secrets) {
      expect(told).not.toContain(secret.slice(0, 20));
      expect(stored).not.toContain(secret.slice(0, 20));
      expect(stored).not.toContain(Buffer.from(secret.slice(0, 20)).toString('hex'));
    }
    expect(told).not.toContain('$2b$');
    expect(told).not.toContain('hmac');
  });
});

describe('a password with accents', () => {
  const [NFC, NFD] = (['NFC', 'NFD'] as const).map((form) => 'pässwörter für Zoë'.normalize(form)) as [string, string];
  /** As it was stored before NFC was the rule. */
  const rawHash = (password: string) =>
    `bcrypt-hmac-sha384:${bcrypt.hashSync(createHmac('sha384', '').update(password, 'utf8').digest('base64'), 4)}`;

  it.each([
    ['NFC', NFC, 'NFD', NFD],
    ['NFD', NFD, 'NFC', NFC],
  ])('that was set in %s lets its user in, in %s, too', async (_, set, __, typed) => {
    const { id, email } = await register(service, { password: set });
    const before = await storedHash(service, id);
    await logIn(service, email, typed);
    await logIn(service, email, set);
    expect(await storedHash(service, id)).toBe(before);
    await refused(service, email, typed.replace('ter', 'tee'));
  });

  it.each([
    ['of ours, from before NFC was the rule', rawHash(NFD)],
    ['of another system', bcrypt.hashSync(NFD, 4)],
  ])('matches a hash %s as it was typed, and any way after that', async (_, hash) => {
    const { id, email } = await register(service, { password: undefined });
    await storeHash(service, id, hash);
    await logIn(service, email, NFD);
    expect(await storedHash(service, id)).not.toBe(hash);
    await logIn(service, email, NFC);
    await logIn(service, email, NFD);
  });

  it('is the same one in the history, however it is typed', async () => {
    const { id } = await register(service, { password: NFC });
    const change = service.auth.changePassword({ userId: id, currentPassword: NFD, newPassword: NFD });
    await expectInvalid(change, ['new_password'], 'PASSWORD_REUSED');
    await rows(service, 'update password_history set password_hash = $2 where user_id = $1', [id, rawHash(NFD)]);
    await storeHash(service, id, bcrypt.hashSync('something else', 4));
    const again = service.auth.changePassword({ userId: id, currentPassword: 'something else', newPassword: NFD });
    await expectInvalid(again, ['new_password'], 'PASSWORD_REUSED');
  });

  it('costs a second hash only where it was not typed in NFC, with an account and without', async () => {
    const { email } = await register(service);
    const hash = vi.spyOn(bcrypt, 'hash');
    try {
      for (const address of [email, newEmail()]) {
        for (const [password, hashes] of [
          [NFC, 1],
          [NFD, 2],
          ['wrong password', 1],
        ] as const) {
          hash.mockClear();
          await refused(service, address, password);
          expect([address, password, hash.mock.calls.length]).toEqual([address, password, hashes]);
        }
      }
    } finally {
      hash.mockRestore();
    }
  });
});

describe('a plain bcrypt hash from another system', () => {
  it.each(['$2a$', '$2b$', '$2y$'])('%s lets its user in, and is replaced by that', async (prefix) => {
    const { id, email } = await register(service, { password: undefined });
    const plain = bcrypt.hashSync('brought along', 5).replace('$2b$', prefix);
    await storeHash(service, id, plain);
    expect((await service.users.getUser({ userId: id })).user?.hasPassword).toBe(true);
    await refused(service, email, 'not brought along');
    expect(await storedHash(service, id)).toBe(plain);

    await logIn(service, email, 'brought along');
    expect(await storedHash(service, id)).toMatch(/^bcrypt-hmac-sha384:\$2b\$04\$/);
    await refused(service, email, 'not brought along');
    await logIn(service, email, 'brought along');
  });

  it('lets its user in from several devices at once', async () => {
    const { id, email } = await register(service, { password: undefined });
    await storeHash(service, id, bcrypt.hashSync('brought along', 4));
    const results = await atOnce(4, () => logIn(service, email, 'brought along'));
    expect(results.map(({ status }) => status)).toEqual(Array(4).fill('fulfilled'));
    expect(await counterOf(service, id)).toEqual({ failed: 0, locked: false });
  });

  it('goes from the history, too', async () => {
    const { id, email } = await register(service);
    const plain = bcrypt.hashSync(PASSWORD, 4);
    await storeHash(service, id, plain);
    await rows(service, 'update password_history set password_hash = $2 where user_id = $1', [id, plain]);
    await logIn(service, email);
    expect(await historyOf(id)).toEqual([await storedHash(service, id)]);
  });
});

describe('a stored hash', () => {
  it('is replaced at a login where BCRYPT_COST is another one', async () => {
    const { id, email } = await register(service);
    await withService({ BCRYPT_COST: '5' }, async (stronger) => {
      await refused(stronger, email, 'wrong');
      expect(await storedHash(service, id)).toContain('$2b$04$');
      await logIn(stronger, email);
      expect(await storedHash(service, id)).toContain('bcrypt-hmac-sha384:$2b$05$');
    });
    await logIn(service, email);
    expect(await storedHash(service, id)).toContain('$2b$04$');
  });

  it('stays as it is where it is up to date', async () => {
    const { id, email } = await register(service);
    const before = await storedHash(service, id);
    await logIn(service, email);
    expect(await storedHash(service, id)).toBe(before);
  });

  it('goes from bcrypt to argon2id and back', async () => {
    const old = await register(service);
    await withService({ PASSWORD_HASH: 'argon2id' }, async (argon) => {
      await refused(argon, old.email, 'wrong');
      await logIn(argon, old.email);
      const upgraded = await storedHash(service, old.id);
      expect(upgraded).toMatch(/^argon2id-hmac-sha384:\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/);
      await logIn(argon, old.email);
      expect(await storedHash(service, old.id)).toBe(upgraded);

      const young = await register(argon);
      await refused(service, young.email, 'wrong');
      await logIn(service, young.email);
      expect(await storedHash(service, young.id)).toMatch(/^bcrypt-hmac-sha384:/);
    });
    await logIn(service, old.email);
    expect(await storedHash(service, old.id)).toMatch(/^bcrypt-hmac-sha384:/);
  });

  it('is worth nothing without its pepper', async () => {
    const { email } = await register(service);
    await withService({ PASSWORD_PEPPER: 'some pepper' }, async (peppered) => {
      await refused(peppered, email, PASSWORD);
      const other = await register(peppered);
      await logIn(peppered, other.email);
      await refused(service, other.email, PASSWORD);
    });
  });

  it('of an account without a password matches nothing', async () => {
    const { email } = await register(service, { password: undefined });
    for (const password of ['null', 'undefined', ' ']) await refused(service, email, password);
  });
});
