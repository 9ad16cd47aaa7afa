import { describe, expect, it } from 'vitest';
import { logIn, newEmail, newUsername, PASSWORD, register } from '../../support/builders.ts';
import { expectInvalid, expectStatus } from '../../support/expect-status.ts';
import { counterOf, storedHash, storeHash } from '../../support/passwords.ts';
import { totals } from '../../support/rows.ts';
import { useService } from '../../support/service.ts';

const service = useService({ SERVICE_NAME: 'Acme Portal', PASSWORD_MIN_LENGTH: '10' });

const COMMON = 'is among the most common passwords';
const PERSONAL = 'is built from the email, the username, a name or the name of the service';
const REUSED = 'is one of the latest passwords';
const TOO_SHORT = 'must have at least 10 characters';

const ADA = { firstName: 'Ada', lastName: 'Lovelace' };

describe.each([
  ['Register', (fields: object) => service.auth.register(fields)],
  ['CreateUser', (fields: object) => service.users.createUser(fields)],
])('%s', (_, create) => {
  const refusal = async (fields: object) => {
    const failure = await expectStatus(create({ email: newEmail(), ...fields }), 'INVALID_ARGUMENT', 'INVALID_FIELDS');
    expect(new Set(failure.fields)).toEqual(new Set(['password']));
    return failure.descriptions;
  };

  it('refuses the most common passwords, in any case', async () => {
    for (const password of ['1234567890', 'qwertyuiop', 'QWERTYuiop', 'basketball', 'Manchester']) {
      expect(await refusal({ password })).toEqual([COMMON]);
    }
  });

  it('refuses what fingers do by themselves, in any case and width', async () => {
    for (const password of [' '.repeat(10), '9876543210', '12341234123', 'ABCDEFGHIJ', 'qwertzuiop', '１２１２１２１２１２']) {
      expect(await refusal({ password })).toEqual([COMMON]);
    }
  });

  it('counts characters as they are seen, however they are composed', async () => {
    expect(await refusal({ password: 'pässwörté'.normalize('NFD') })).toEqual([TOO_SHORT]);
    await create({ email: newEmail(), password: 'pässwörtér'.normalize('NFD') });
  });

  it('refuses what is built from email, username, names or the name of the service', async () => {
    const username = newUsername();
    expect(await refusal({ email: 'grace.hopper@example.com', password: 'Grace.Hopper' })).toEqual([PERSONAL]);
    expect(await refusal({ email: 'grace.hopper@example.com', password: 'hopper-1906' })).toEqual([PERSONAL]);
    expect(await refusal({ email: 'grace.hopper@example.com', password: 'grace.hopper@example.com' })).toEqual([PERSONAL]);
    expect(await refusal({ username, password: `${username}!` })).toEqual([PERSONAL]);
    expect(await refusal({ profile: ADA, password: 'L0v3lace1815' })).toEqual([PERSONAL]);
    expect(await refusal({ profile: { fullName: 'Augusta Ada King' }, password: 'augustaking1' })).toEqual([PERSONAL]);
    expect(await refusal({ password: 'AcmePortal1' })).toEqual([PERSONAL]);
  });

  it('takes a long password that holds a name, and the same words for somebody else', async () => {
    const password = 'lovelace and the analytical engine';
    await create({ email: newEmail(), profile: ADA, password });
    await create({ email: newEmail(), profile: { firstName: 'Grace' }, password: 'L0v3lace1815' });
  });

  it('tells every broken rule at once', async () => {
    expect(await refusal({ password: 'shadow' })).toEqual([TOO_SHORT, COMMON]);
    expect(await refusal({ profile: { lastName: 'Shadow' }, password: 'shadow' })).toEqual([TOO_SHORT, COMMON, PERSONAL]);
    expect(await refusal({ password: 'a'.repeat(1025) })).toEqual(['must have at most 1024 bytes']);
  });

  it('tells them together with the other violated fields', async () => {
    const request = { email: 'lovelace', username: '-', profile: { ...ADA, phone: 'none' }, password: 'shadow' };
    const fields = ['email', 'username', 'profile.phone', 'password', 'password'];
    expect((await expectInvalid(create(request), fields)).descriptions).toEqual(expect.arrayContaining([TOO_SHORT, COMMON]));
    const personal = { ...request, password: 'lovelace-1' };
    const { descriptions } = await expectInvalid(create(personal), ['email', 'username', 'profile.phone', 'password']);
    expect(descriptions).toContain(PERSONAL);
  });

  it('leaves nothing behind where the password is refused', async () => {
    const before = await totals(service);
    await refusal({ password: '1234567890' });
    await refusal({ profile: ADA, password: 'Lovelace1815' });
    expect(await totals(service)).toEqual(before);
  });
});

describe('ChangePassword', () => {
  const change = (userId: string, currentPassword: string, newPassword: string) =>
    service.auth.changePassword({ userId, currentPassword, newPassword });

  it('refuses common passwords at once, and what is built from the profile to who knows the current one', async () => {
    const { id, email } = await register(service, { profile: ADA });
    expect((await expectInvalid(change(id, PASSWORD, '1234567890'), ['new_password'])).descriptions).toEqual([COMMON]);
    expect((await expectInvalid(change(id, PASSWORD, 'Lovelace1815'), ['new_password'])).descriptions).toEqual([PERSONAL]);
    await change(id, PASSWORD, 'lovelace and the analytical engine');
    await logIn(service, email, 'lovelace and the analytical engine');
  });

  it('tells nothing about names and former passwords to who does not know the current one', async () => {
    const { id } = await register(service, { profile: ADA });
    for (const password of ['Lovelace1815', PASSWORD]) {
      await expectStatus(change(id, 'wrong', password), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
    }
    expect(await counterOf(service, id)).toEqual({ failed: 2, locked: false });
  });

  it('tells every broken rule at once, with the reason of the one that has a reason of its own', async () => {
    const { id } = await register(service);
    await change(id, PASSWORD, 'lovelace1815');
    await service.users.updateUser({ user: { id, profile: ADA } });
    const { descriptions } = await expectInvalid(
      change(id, 'lovelace1815', 'lovelace1815'),
      ['new_password', 'new_password'],
      'PASSWORD_REUSED',
    );
    expect(descriptions).toEqual([PERSONAL, REUSED]);
  });

  it('counts a current password without a history as one of the latest five', async () => {
    const { id } = await register(service, { password: undefined });
    const donor = await register(service, { password: 'brought along' });
    await storeHash(service, id, (await storedHash(service, donor.id)) ?? '');
    const later = [1, 2, 3, 4].map((number) => `another password ${number}`);
    let current = 'brought along';
    for (const password of later) {
      service.clock.advance(1);
      await change(id, current, password);
      current = password;
    }
    await expectInvalid(change(id, current, 'brought along'), ['new_password'], 'PASSWORD_REUSED');
    service.clock.advance(1);
    await change(id, current, 'another password 5');
    await change(id, 'another password 5', 'brought along');
  });
});

describe('Login', () => {
  it('takes a password that could not be set any more', async () => {
    const { id, email } = await register(service, { password: 'lovelace1815' });
    await service.users.updateUser({ user: { id, profile: ADA } });
    await logIn(service, email, 'lovelace1815');
  });
});
