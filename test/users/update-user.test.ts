import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { User } from '../../src/gen/identity/v1/user.ts';
import { atOnce, logIn, newEmail, newUsername, register, required, signedIn } from '../support/builders.ts';
import { decode, expectInvalid, expectStatus } from '../support/expect-status.ts';
import { auditTrail, bookkeeping, rows, whileInsertsFail } from '../support/rows.ts';
import { useService } from '../support/service.ts';

const service = useService();
const strict = useService({ REQUIRED_PROFILE_FIELDS: 'full_name,birth_date' });

type Given = NonNullable<Parameters<typeof service.users.updateUser>[0]['user']>;

async function update(user: Given, updateMask?: string[]): Promise<User> {
  return required((await service.users.updateUser({ user, updateMask })).user);
}

async function refuses(user: Given, updateMask: string[] | undefined, violations: string[]): Promise<void> {
  await expectInvalid(service.users.updateUser({ user, updateMask }), violations);
}

const PROFILE = {
  firstName: 'Ada',
  lastName: 'Lovelace',
  fullName: 'Ada King',
  bio: 'Countess',
  birthDate: { year: 1915, month: 12, day: 10 },
  avatarUrl: 'https://example.com/ada.png',
  phone: '+41446681800',
};

const EMPTY_PROFILE = {
  firstName: '',
  lastName: undefined,
  fullName: '',
  bio: undefined,
  birthDate: undefined,
  avatarUrl: undefined,
  phone: undefined,
};

const newPerson = () => register(service, { username: newUsername(), profile: PROFILE });

/** Every field that can be changed, set to something that is not allowed. */
const INVALID = {
  username: 'x',
  profile: {
    firstName: 'f'.repeat(101),
    lastName: 'l\u0000',
    fullName: 'n'.repeat(201),
    bio: 'b'.repeat(2001),
    birthDate: { year: 2001, month: 2, day: 29 },
    avatarUrl: 'ftp://example.com/',
    phone: '123',
  },
};

describe('UpdateUser', () => {
  it('changes the fields that the mask names, and no others', async () => {
    const before = await newPerson();
    const username = newUsername();
    const after = await update({ id: before.id, username: ` ${username.toUpperCase()} `, profile: { bio: 'new', phone: '+411' } }, [
      'username',
      'profile.bio',
    ]);
    expect(after).toEqual({
      ...before,
      username,
      profile: { ...PROFILE, bio: 'new' },
      etag: expect.not.stringMatching(before.etag),
    });
    expect((await service.users.getUser({ userId: before.id })).user).toEqual(after);
  });

  it.each([
    ['username', { username: undefined }],
    ['profile.first_name', { profile: { ...PROFILE, firstName: '' } }],
    ['profile.last_name', { profile: { ...PROFILE, lastName: undefined } }],
    ['profile.full_name', { profile: { ...PROFILE, fullName: '' } }],
    ['profile.bio', { profile: { ...PROFILE, bio: undefined } }],
    ['profile.birth_date', { profile: { ...PROFILE, birthDate: undefined } }],
    ['profile.avatar_url', { profile: { ...PROFILE, avatarUrl: undefined } }],
    ['profile.phone', { profile: { ...PROFILE, phone: undefined } }],
    ['profile', { profile: EMPTY_PROFILE }],
  ])('clears %s where the mask names it and it is absent', async (path, cleared) => {
    const before = await newPerson();
    const after = await update({ id: before.id }, [path]);
    expect(after).toEqual({ ...before, ...cleared, etag: after.etag });
    expect(after.etag).not.toBe(before.etag);
  });

  it('clears what is present but empty or blank', async () => {
    const { id } = await newPerson();
    const { username, profile } = await update({ id, username: '', profile: { lastName: ' ', bio: '', phone: '' } }, [
      'username',
      'profile.last_name',
      'profile.bio',
      'profile.phone',
    ]);
    expect(username).toBeUndefined();
    expect(profile).toEqual({ ...PROFILE, lastName: undefined, bio: undefined, phone: undefined });
  });

  it('replaces the whole profile where the mask names it', async () => {
    const { id } = await newPerson();
    const { profile } = await update({ id, profile: { firstName: 'Grace', bio: 'Admiral' } }, ['profile', 'profile.bio']);
    expect(profile).toEqual({ ...EMPTY_PROFILE, firstName: 'Grace', bio: 'Admiral' });
  });

  it('sets the fields that are present where there is no mask', async () => {
    const before = await newPerson();
    const after = await update({ id: before.id, profile: { bio: 'new' } });
    expect(after).toEqual({ ...before, profile: { ...PROFILE, bio: 'new' }, etag: after.etag });
  });

  it('takes the whole user back that somebody has read', async () => {
    const before = await newPerson();
    const after = await update({ ...before, profile: { ...PROFILE, fullName: 'Ada Lovelace' } });
    expect(after).toEqual({ ...before, profile: { ...PROFILE, fullName: 'Ada Lovelace' }, etag: after.etag });
  });

  it('changes nothing where no field is named or present', async () => {
    const before = await newPerson();
    const { updated_at } = await bookkeeping(service, before.id);
    expect(await update({ id: before.id })).toEqual(before);
    expect(await update({ ...before, profile: { bio: 'new' } }, [])).toEqual(before);
    expect(await bookkeeping(service, before.id)).toMatchObject({ updated_at });
    expect(await auditTrail(service, before.id)).toEqual(['user.created']);
  });

  it('ignores the fields that the server sets', async () => {
    const before = await newPerson();
    const given = { id: before.id, emailVerified: true, active: false, roles: ['admin'], hasPassword: false, twoFactorEnabled: true };
    expect(await update({ ...given, profile: { bio: PROFILE.bio } })).toEqual(before);
  });

  it('writes one audit event with the names of the fields, but not their values', async () => {
    const { id } = await newPerson();
    await update({ id, username: newUsername(), profile: { bio: 'secret' } }, ['username', 'profile.bio']);
    const events = await rows(service, `select metadata from audit_events where user_id = $1 and type = 'user.updated'`, [id]);
    expect(events).toEqual([{ metadata: { fields: 'username,profile.bio' } }]);
  });

  it('is one unit of work with its audit event', async () => {
    const before = await newPerson();
    await whileInsertsFail(service, 'audit_events', () =>
      expectStatus(service.users.updateUser({ user: { id: before.id, username: newUsername() } }), 'INTERNAL', 'INTERNAL_ERROR'),
    );
    expect((await service.users.getUser({ userId: before.id })).user).toEqual(before);
  });

  describe('the mask', () => {
    it('names every unknown path in the refusal', async () => {
      const { id } = await newPerson();
      const unknown = ['id', 'etag', 'active', 'roles', 'profile.email', 'profile.firstName', 'password_hash', '*', '', ' username'];
      const call = service.users.updateUser({ user: { id, username: 'x' }, updateMask: ['username', ...unknown] });
      const { descriptions } = await expectInvalid(
        call,
        unknown.map(() => 'update_mask'),
      );
      for (const [index, path] of unknown.entries()) expect(descriptions[index]).toContain(`"${path}"`);
    });

    it.each([
      ['bookkeeping', 'created_at'],
      ['half an emoji, when cut', `${'a'.repeat(99)}😀`],
      ['a very long one', 'a'.repeat(10_000)],
      ['a property of every object', '__proto__'],
    ])('refuses a path that is %s', async (_, path) => {
      const { id } = await newPerson();
      await refuses({ id }, [path], ['update_mask']);
    });

    it('cannot name the email', async () => {
      const { id } = await newPerson();
      for (const updateMask of [['email'], ['username', 'email', 'nonsense']]) {
        const call = service.users.updateUser({ user: { id, email: newEmail() }, updateMask });
        await expectInvalid(call, ['update_mask'], 'EMAIL_IMMUTABLE');
      }
    });

    it('does not let another email slip in where it is absent', async () => {
      const { id, email } = await newPerson();
      for (const other of [newEmail(), 'nobody']) {
        await expectInvalid(service.users.updateUser({ user: { id, email: other } }), ['user.email'], 'EMAIL_IMMUTABLE');
      }
      expect((await update({ id, email: email.toUpperCase() })).email).toBe(email);
    });

    it('lets an email pass that it does not name', async () => {
      const { id, email } = await newPerson();
      expect((await update({ id, email: newEmail(), profile: { bio: 'new' } }, ['profile.bio'])).email).toBe(email);
    });
  });

  describe('input', () => {
    const paths = ['first_name', 'last_name', 'full_name', 'bio', 'birth_date', 'avatar_url', 'phone'].map((name) => `profile.${name}`);
    const everything = ['user.username', ...paths.map((path) => `user.${path}`)];

    it('lists every violated field that is named', async () => {
      const { id } = await newPerson();
      await refuses({ id, ...INVALID }, ['username', 'profile'], everything);
      await refuses({ id, ...INVALID }, undefined, everything);
    });

    it('may hold invalid values in fields that are not named', async () => {
      const { id } = await newPerson();
      const invalid = { ...INVALID, profile: { ...INVALID.profile, bio: 'new' } };
      expect((await update({ id, ...invalid }, ['profile.bio'])).profile).toEqual({ ...PROFILE, bio: 'new' });
    });

    it('does not change anything where one of the fields is violated', async () => {
      const before = await newPerson();
      await refuses({ id: before.id, username: newUsername(), profile: { phone: '1' } }, undefined, ['user.profile.phone']);
      expect((await service.users.getUser({ userId: before.id })).user).toEqual(before);
    });

    it('cannot clear a required field of the profile', async () => {
      const { user } = await strict.auth.register({ email: newEmail(), profile: PROFILE });
      const { id } = required(user);
      const cleared = (fields: Given, updateMask: string[]) => strict.users.updateUser({ user: { id, ...fields }, updateMask });
      await expectInvalid(cleared({}, ['profile']), ['user.profile.full_name', 'user.profile.birth_date']);
      await expectInvalid(cleared({ profile: { fullName: ' ' } }, ['profile.full_name']), ['user.profile.full_name']);
      await cleared({}, ['profile.bio']);
      expect((await strict.users.getUser({ userId: id })).user?.profile).toEqual({ ...PROFILE, bio: undefined });
    });

    it('needs a user with an id', async () => {
      await expectInvalid(service.users.updateUser({}), ['user']);
      await expectInvalid(service.users.updateUser({ updateMask: ['username'] }), ['user']);
      for (const id of ['', 'nobody', '\u0000']) await refuses({ id }, ['username'], ['user.id']);
    });

    it('tells that nobody has the id', async () => {
      const call = service.users.updateUser({ user: { id: randomUUID(), username: newUsername() } });
      await expectStatus(call, 'NOT_FOUND', 'USER_NOT_FOUND');
    });
  });

  describe('the username', () => {
    it('is refused where another user holds it, in any case', async () => {
      const [before, other] = [await newPerson(), await newPerson()];
      for (const username of [other.username, other.username?.toUpperCase()]) {
        const call = service.users.updateUser({ user: { id: before.id, username, profile: { bio: 'new' } } });
        await expectStatus(call, 'ALREADY_EXISTS', 'USERNAME_ALREADY_EXISTS');
      }
      expect((await service.users.getUser({ userId: before.id })).user).toEqual(before);
    });

    it('goes to one of several users who want it at once', async () => {
      const people = await Promise.all(Array.from({ length: 10 }, newPerson));
      const username = newUsername();
      const results = await atOnce(10, (index) => update({ id: people[index]?.id, username }));
      const reasons = results.flatMap((result) => (result.status === 'rejected' ? [decode(result.reason).reason] : []));
      expect(reasons).toEqual(Array(9).fill('USERNAME_ALREADY_EXISTS'));
      expect(await rows(service, 'select username from users where username = $1', [username])).toEqual([{ username }]);
    });

    it('is free again once it is cleared', async () => {
      const { id, username } = await newPerson();
      await update({ id }, ['username']);
      const other = await newPerson();
      expect((await update({ id: other.id, username })).username).toBe(username);
    });
  });

  describe('the etag', () => {
    it('is refused when it is stale', async () => {
      const { id, etag } = await newPerson();
      const changed = await update({ id, etag, profile: { bio: 'first' } });
      const call = service.users.updateUser({ user: { id, etag, profile: { bio: 'second' } } });
      await expectStatus(call, 'ABORTED', 'CONCURRENT_UPDATE');
      await expectStatus(service.users.updateUser({ user: { id, etag: 'x' }, updateMask: [] }), 'ABORTED', 'CONCURRENT_UPDATE');
      expect((await service.users.getUser({ userId: id })).user).toEqual(changed);
    });

    it('goes stale with every change that the API shows', async () => {
      const { id } = await newPerson();
      const etag = async () => required((await service.users.getUser({ userId: id })).user).etag;
      const etags = [await etag()];
      await service.users.deactivateUser({ userId: id });
      etags.push(await etag());
      await rows(service, 'update users set email_verified_at = now() where id = $1', [id]);
      etags.push(await etag());
      await rows(service, 'update users set password_hash = null where id = $1', [id]);
      etags.push(await etag());
      expect(new Set(etags).size).toBe(4);
    });

    it('changes with the roles, and is the old one again when they are', async () => {
      const before = await newPerson();
      const find = async () => required((await service.users.getUser({ userId: before.id })).user);
      await service.roles.assignRole({ role: 'reader', userId: before.id });
      const promoted = await find();
      expect(promoted.roles).toEqual(['reader']);
      expect(promoted.etag).not.toBe(before.etag);
      const stale = service.users.updateUser({ user: { id: before.id, etag: before.etag, profile: { bio: 'new' } } });
      await expectStatus(stale, 'ABORTED', 'CONCURRENT_UPDATE');
      await service.roles.unassignRole({ role: 'reader', userId: before.id });
      expect(await find()).toEqual(before);
    });

    it('is not changed by a login, nor by failed ones', async () => {
      const { user, tokens } = await signedIn(service);
      await expectStatus(logIn(service, user.email, 'wrong'), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
      await service.auth.refreshToken({ refreshToken: tokens.refreshToken });
      expect((await update({ id: user.id, etag: user.etag, profile: { bio: 'new' } })).profile?.bio).toBe('new');
    });

    it('lets exactly one of 20 parallel updates win', async () => {
      const { id, etag } = await newPerson();
      const results = await atOnce(20, (index) => update({ id, etag, profile: { bio: `writer ${index}` } }));
      const won = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
      const lost = results.flatMap((result) => (result.status === 'rejected' ? [decode(result.reason)] : []));
      expect(won).toHaveLength(1);
      expect(lost.map(({ code, reason }) => `${code} ${reason}`)).toEqual(Array(19).fill('ABORTED CONCURRENT_UPDATE'));
      expect((await service.users.getUser({ userId: id })).user).toEqual(won[0]);
      expect(await auditTrail(service, id)).toEqual(['user.created', 'user.updated']);
    });

    it('is not needed: parallel updates without it all succeed, one after the other', async () => {
      const { id } = await newPerson();
      const results = await atOnce(10, (index) => update({ id, profile: { bio: `writer ${index}` } }));
      expect(results.every(({ status }) => status === 'fulfilled')).toBe(true);
      expect(await auditTrail(service, id)).toHaveLength(11);
    });
  });

  it('moves updated_at and last_login_at, and nothing else of the bookkeeping', async () => {
    const { id } = await newPerson();
    const before = await bookkeeping(service, id);
    const username = newUsername();
    await update({ id, username });
    const after = await bookkeeping(service, id);
    const search_text = expect.stringContaining(username);
    expect(after).toEqual({ ...before, username, search_text, updated_at: expect.any(Date), last_login_at: expect.any(Date) });
    for (const moved of ['updated_at', 'last_login_at']) expect(Number(after[moved])).toBeGreaterThan(Number(before[moved]));
  });
});
