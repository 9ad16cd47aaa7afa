import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { User } from '../../src/gen/identity/v1/user.ts';
import { atOnce, logIn, newEmail, newUsername, PASSWORD, required, signedIn } from '../support/builders.ts';
import { decode, expectInvalid, expectStatus } from '../support/expect-status.ts';
import { auditTrail, bookkeeping, rows, totals, whileInsertsFail } from '../support/rows.ts';
import { useService } from '../support/service.ts';

const UUID_V4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

const service = useService();
const strict = useService({ REQUIRED_PROFILE_FIELDS: 'full_name,birth_date' });

type Fields = Parameters<typeof service.users.createUser>[0];

async function create(fields: Fields = {}) {
  const { user } = await service.users.createUser({ email: newEmail(), ...fields });
  return required(user);
}

/** Expects that a user cannot be made with these fields. */
async function refuses(fields: Fields, violations: string[]): Promise<void> {
  await expectInvalid(service.users.createUser({ email: newEmail(), ...fields }), violations);
}

/** Today by the service's clock, moved by some days. */
function day(offset = 0, { clock } = service) {
  const moved = new Date(clock.now().getTime() + offset * 86_400_000);
  return { year: moved.getUTCFullYear(), month: moved.getUTCMonth() + 1, day: moved.getUTCDate() };
}

/** What became of calls made at once: how many succeeded, and the reasons of the others. */
function outcomes(results: PromiseSettledResult<unknown>[]) {
  const failures = results.filter((result) => result.status === 'rejected').map(({ reason }) => decode(reason));
  return { succeeded: results.length - failures.length, failures: failures.map(({ code, reason }) => `${code} ${reason}`) };
}

describe('CreateUser', () => {
  it('answers with everything that was given', async () => {
    const profile = {
      firstName: 'Ada',
      lastName: 'Lovelace',
      fullName: 'Ada King, Countess of Lovelace',
      bio: 'First line\nSecond line',
      birthDate: { year: 1915, month: 12, day: 10 },
      avatarUrl: 'https://example.com/ada.png',
      phone: '+41446681800',
    };
    const email = newEmail();
    const username = newUsername();
    const user = await create({ email, username, password: PASSWORD, profile });
    expect(user).toEqual({
      id: expect.stringMatching(UUID_V4),
      email,
      emailVerified: false,
      username,
      active: true,
      profile,
      roles: [],
      hasPassword: true,
      twoFactorEnabled: false,
      etag: expect.stringMatching(/^\S+$/),
    });
    expect((await service.users.getUser({ userId: user.id })).user).toEqual(user);
  });

  it('makes an account without a password, username or profile', async () => {
    const user = await create();
    expect(user).toMatchObject({ hasPassword: false, username: undefined });
    expect(user.profile).toEqual({
      firstName: '',
      lastName: undefined,
      fullName: '',
      bio: undefined,
      birthDate: undefined,
      avatarUrl: undefined,
      phone: undefined,
    });
    await expectStatus(logIn(service, user.email), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
  });

  it('makes an account that can sign in with its password', async () => {
    const user = await create({ password: PASSWORD });
    expect((await logIn(service, user.email)).tokenType).toBe('Bearer');
  });

  it('has no field for the bookkeeping in its answer', () => {
    const fields = ['active', 'email', 'emailVerified', 'etag', 'hasPassword', 'id', 'profile', 'roles', 'twoFactorEnabled', 'username'];
    expect(Object.keys(User.decode(new Uint8Array())).sort()).toEqual(fields);
  });

  it('builds the full name from first and last name where it is empty', async () => {
    expect((await create({ profile: { firstName: 'Ada', lastName: 'Lovelace' } })).profile?.fullName).toBe('Ada Lovelace');
    expect((await create({ profile: { firstName: 'Ada' } })).profile?.fullName).toBe('Ada');
  });

  it('starts the bookkeeping of the account', async () => {
    const { id } = await create({ password: PASSWORD });
    const row = await bookkeeping(service, id);
    expect(row).toMatchObject({ failed_attempts: 0, locked_until: null, email_verified_at: null, is_active: true });
    expect(row.last_login_at).toEqual(row.created_at);
    expect(row.password_hash).not.toContain(PASSWORD);
    expect(await rows(service, 'select password_hash from password_history where user_id = $1', [id])).toEqual([
      { password_hash: row.password_hash },
    ]);
  });

  it('writes one audit event, without personal data', async () => {
    const { id } = await create();
    expect(await auditTrail(service, id)).toEqual(['user.created']);
    const [event] = await rows(service, 'select actor, ip_address, metadata from audit_events where user_id = $1', [id]);
    expect(event).toEqual({ actor: 'service_account:test-admin', ip_address: null, metadata: {} });
  });

  it('names the caller in the audit event', async () => {
    const { user: caller, tokens } = await signedIn(service);
    await service.roles.assignRole({ role: 'admin', userId: caller.id });
    const { user } = await service.users.createUser({ email: newEmail() }, { token: tokens.accessToken });
    const events = await rows(service, 'select actor from audit_events where user_id = $1', [user?.id]);
    expect(events).toEqual([{ actor: `user:${caller.id}` }]);
  });

  describe('the row', () => {
    it('moves updated_at with any SQL that touches it', async () => {
      const { id } = await create();
      const before = await bookkeeping(service, id);
      await rows(service, `update users set updated_at = 'epoch', failed_attempts = 1 where id = $1`, [id]);
      const after = await bookkeeping(service, id);
      expect(Number(after.updated_at)).toBeGreaterThanOrEqual(Number(before.updated_at));
      expect(Number(after.updated_at)).toBeGreaterThan(Number(before.created_at));
    });

    it('keeps created_at whatever SQL says', async () => {
      const { id } = await create();
      const { created_at } = await bookkeeping(service, id);
      await rows(service, `update users set created_at = 'epoch' where id = $1`, [id]);
      expect(await bookkeeping(service, id)).toMatchObject({ created_at });
    });
  });

  describe('input', () => {
    const INVALID: Fields = {
      email: 'nobody',
      password: 'too few',
      username: 'x',
      profile: {
        firstName: 'f'.repeat(101),
        lastName: 'l'.repeat(101),
        fullName: 'n'.repeat(201),
        bio: 'b'.repeat(2001),
        birthDate: { year: 2001, month: 2, day: 29 },
        avatarUrl: 'ftp://example.com/a.png',
        phone: '044 668 18 00',
      },
      requestId: 'once',
    };
    const PROFILE = ['first_name', 'last_name', 'full_name', 'bio', 'birth_date', 'avatar_url', 'phone'].map((name) => `profile.${name}`);

    it('lists every violated field at once', async () => {
      const fields = ['email', 'password', 'username', 'request_id', ...PROFILE];
      await expectInvalid(service.users.createUser(INVALID), fields);
      await expectInvalid(strict.users.createUser(INVALID), fields);
      await expectInvalid(service.auth.register(INVALID), fields);
    });

    it('leaves nothing behind where a field is violated', async () => {
      const before = await totals(service);
      await expectInvalid(service.users.createUser({ ...INVALID, email: newEmail() }), ['password', 'username', 'request_id', ...PROFILE]);
      expect(await totals(service)).toEqual(before);
    });

    it.each([
      ['no profile', undefined, ['profile.full_name', 'profile.birth_date']],
      ['an empty profile', {}, ['profile.full_name', 'profile.birth_date']],
      ['only one of them', { fullName: 'Ada Lovelace' }, ['profile.birth_date']],
      ['blanks', { fullName: ' \t ', birthDate: { year: 2000, month: 1, day: 1 } }, ['profile.full_name']],
    ])('misses the required profile fields: %s', async (_, profile, missing) => {
      const fields = profile === undefined ? {} : { profile };
      await expectInvalid(strict.users.createUser({ email: 'nobody', ...fields }), ['email', ...missing]);
      await expectInvalid(strict.auth.register({ email: newEmail(), ...fields }), missing);
    });

    it('is satisfied with the required profile fields', async () => {
      const profile = { fullName: 'Ada Lovelace', birthDate: { year: 2000, month: 1, day: 1 } };
      const { user } = await strict.users.createUser({ email: newEmail(), profile });
      expect(user?.profile).toMatchObject(profile);
    });

    it('takes every field at its limit, counted in characters', async () => {
      const profile = {
        firstName: '😀'.repeat(100),
        lastName: 'é'.repeat(100),
        fullName: '😀'.repeat(200),
        bio: '😀'.repeat(2000),
        avatarUrl: `https://example.com/${'a'.repeat(2028)}`,
        phone: '+123456789012345',
        birthDate: { year: 1900, month: 1, day: 1 },
      };
      const email = `${randomUUID()}${'a'.repeat(207)}@example.com`;
      const username = newUsername().padEnd(64, '_');
      expect(email).toHaveLength(255);
      expect(await create({ email, username, profile, requestId: randomUUID() })).toMatchObject({ email, username, profile });
      await refuses({ email: `a${email}` }, ['email']);
      await refuses({ username: `${username}_` }, ['username']);
    });

    it('trims text and reads what is blank as absent', async () => {
      const { profile } = await create({
        profile: { firstName: ' Ada ', lastName: '  ', bio: '\n', avatarUrl: ' ', phone: ' +41446681800 ' },
      });
      expect(profile).toMatchObject({ firstName: 'Ada', fullName: 'Ada', lastName: undefined, bio: undefined, avatarUrl: undefined });
      expect(profile?.phone).toBe('+41446681800');
    });

    it.each([
      '',
      ' ',
      'a',
      '@',
      'a@',
      '@b.c',
      'a@b@c',
      'a b@example.com',
      'a@b..c',
      'a@.c',
      'a@b.',
      'a\u2028b@example.com',
      'a<b@example.com',
      'a,b@example.com',
      '"a b"@example.com',
      'a@b>',
    ])('refuses %j as an email', (email) => refuses({ email }, ['email']));

    it.each(['', 'ab', '.abc', '-abc', '_abc', 'a@b.c', 'a b c', 'ünal', 'a\nb'])('refuses %j as a username', (username) =>
      refuses({ username }, ['username']),
    );

    it.each(['0446681800', '+0446681800', '+1', '+1234567890123456', '+41 44 668', '+41٤٤', 'tel:+41446681800'])(
      'refuses %j as a phone number',
      (phone) => refuses({ profile: { phone } }, ['profile.phone']),
    );

    it.each(['example.com/a.png', '//example.com', 'javascript:alert(1)', 'data:image/png,x', 'https://'])(
      'refuses %j as the URL of an avatar',
      (avatarUrl) => refuses({ profile: { avatarUrl } }, ['profile.avatar_url']),
    );

    it.each([
      ['the 30th of February', { year: 2000, month: 2, day: 30 }],
      ['a year before 1900', { year: 1899, month: 12, day: 31 }],
      ['a date without a year', { year: 0, month: 2, day: 1 }],
      ['a date without a month', { year: 2000, month: 0, day: 1 }],
      ['a date without a day', { year: 2000, month: 2, day: 0 }],
      ['an empty date', { year: 0, month: 0, day: 0 }],
      ['negative numbers', { year: -2000, month: -1, day: -1 }],
      ['numbers of too many digits', { year: 20_000, month: 100, day: 100 }],
    ])('refuses %s as a birth date', (_, birthDate) => refuses({ profile: { birthDate } }, ['profile.birth_date']));

    it('takes today as a birth date, but not tomorrow', async () => {
      expect((await create({ profile: { birthDate: day() } })).profile?.birthDate).toEqual(day());
      await refuses({ profile: { birthDate: day(1) } }, ['profile.birth_date']);
    });

    it("asks the service's clock what the future is", async () => {
      const yesterday = day(-1, strict);
      strict.clock.advance(-3 * 86_400);
      const profile = { fullName: 'Ada', birthDate: yesterday };
      await expectInvalid(strict.users.createUser({ email: newEmail(), profile }), ['profile.birth_date']);
      strict.clock.advance(3 * 86_400);
      await strict.users.createUser({ email: newEmail(), profile });
    });

    const VALID = {
      firstName: 'Ada',
      lastName: 'Ada',
      fullName: 'Ada',
      bio: 'Ada',
      avatarUrl: 'https://example.com/',
      phone: '+41446681800',
    };
    const TEXT = ['firstName', 'lastName', 'fullName', 'bio', 'avatarUrl', 'phone'] as const;
    const SNAKE = {
      firstName: 'first_name',
      lastName: 'last_name',
      fullName: 'full_name',
      bio: 'bio',
      avatarUrl: 'avatar_url',
      phone: 'phone',
    };

    it.each(['\u0000', '\u0007', '\t', '\u001b', '\u007f', '\u0085'])(
      'refuses the control character %j in every text',
      async (character) => {
        const profile = Object.fromEntries(TEXT.map((field) => [field, `${VALID[field]}${character}${VALID[field]}`]));
        const { fields } = await expectStatus(
          service.users.createUser({ email: `a${character}b@example.com`, username: `abc${character}abc`, requestId: character, profile }),
          'INVALID_ARGUMENT',
          'INVALID_FIELDS',
        );
        const expected = ['email', 'username', 'request_id', ...TEXT.map((field) => `profile.${SNAKE[field]}`)];
        expect([...new Set(fields)].sort()).toEqual(expected.sort());
      },
    );

    it.each(['\n', '\r\n', '\u2028', '\u2029'])('takes the line break %j in bio only', async (lineBreak) => {
      const text = `a${lineBreak}b`;
      expect((await create({ profile: { bio: text } })).profile?.bio).toBe(text);
      const profile = { firstName: text, lastName: text, fullName: text, bio: text };
      await refuses({ profile }, ['profile.first_name', 'profile.last_name', 'profile.full_name']);
    });

    it('counts a password in characters and in bytes', async () => {
      // 14 bytes, but 7 characters.
      await refuses({ password: 'é'.repeat(7) }, ['password']);
      await refuses({ password: '😀'.repeat(7) }, ['password']);
      await refuses({ password: 'é'.repeat(513) }, ['password']);
      await refuses({ password: 'a'.repeat(1025) }, ['password']);
      await refuses({ password: '' }, ['password']);
      for (const password of ['😀😃😄😁😆😅🤣😂', 'é'.repeat(512), 'a\u0000\u001b\n b c']) {
        const { email } = await create({ password });
        await logIn(service, email, password);
      }
    });

    it('never repeats a password or an email in an error', async () => {
      const { message, descriptions } = await expectInvalid(service.users.createUser({ email: 'ada.lovelace', password: 'hunter#' }), [
        'email',
        'password',
      ]);
      expect([message, ...descriptions].join()).not.toMatch(/ada|hunter/);
    });
  });

  describe('email and username', () => {
    it('trims and lower-cases both', async () => {
      const name = newUsername();
      const user = await create({ email: `  ${name.toUpperCase()}@Example.COM\t`, username: ` ${name.toUpperCase()} ` });
      expect(user).toMatchObject({ email: `${name}@example.com`, username: name });
      expect(await bookkeeping(service, user.id)).toMatchObject({ email: `${name}@example.com`, username: name });
    });

    it('refuses an email held by another user, in any case', async () => {
      const { email } = await create();
      for (const taken of [email, email.toUpperCase(), ` ${email}\n`]) {
        const { message } = await expectStatus(service.users.createUser({ email: taken }), 'ALREADY_EXISTS', 'EMAIL_ALREADY_EXISTS');
        expect(message).not.toContain(email);
      }
    });

    it('refuses a username held by another user, in any case', async () => {
      const username = newUsername();
      await create({ username });
      for (const taken of [username, username.toUpperCase(), ` ${username} `]) {
        const call = service.users.createUser({ email: newEmail(), username: taken });
        await expectStatus(call, 'ALREADY_EXISTS', 'USERNAME_ALREADY_EXISTS');
      }
    });

    it.each([
      ['a dotted capital I', 'İ'],
      ['a capital sharp s', 'ẞ'],
      ['a final sigma', 'ΟΔΟΣ'],
      ['an emoji', '👩‍🚀'],
      ['a combining accent', 'e\u0301'],
      ['a capital that only composes in lower case', 'J\u030c'],
      ['a letter beyond the basic plane', '𐐀'],
      ['a letter of a late Unicode version', 'Ꟃ'],
      ['a title case letter', 'ǅ'],
      ['right-to-left text', 'דוא״ל'],
    ])('takes %s in an email, and finds it again', async (_, text) => {
      const domain = `${newUsername()}.example`;
      const user = await create({ email: `${text}@${domain}` });
      const { user: found } = await service.users.lookupUser({ email: `${text}@${domain}` });
      expect(found).toEqual(user);
      await expectStatus(service.users.createUser({ email: user.email }), 'ALREADY_EXISTS', 'EMAIL_ALREADY_EXISTS');
    });

    it('takes one email for another where only its Unicode form differs', async () => {
      const domain = `${newUsername()}.example`;
      for (const [composed, decomposed] of [
        ['\u00e9', 'E\u0301'],
        ['\u01f0', 'J\u030c'],
      ]) {
        await create({ email: `${composed}@${domain}` });
        const call = service.users.createUser({ email: `${decomposed}@${domain}` });
        await expectStatus(call, 'ALREADY_EXISTS', 'EMAIL_ALREADY_EXISTS');
      }
    });

    it('refuses an email that lower-casing makes too long', async () => {
      await refuses({ email: `${'İ'.repeat(130)}@example.com` }, ['email']);
    });

    it('lets one of 50 parallel calls with the same email win', async () => {
      const email = newEmail();
      const before = await totals(service);
      const { succeeded, failures } = outcomes(await atOnce(50, () => service.users.createUser({ email })));
      expect(succeeded).toBe(1);
      expect(failures).toEqual(Array(49).fill('ALREADY_EXISTS EMAIL_ALREADY_EXISTS'));
      expect(grown(before, await totals(service))).toEqual({ users: 1, profiles: 1, audit_events: 1 });
    });

    it('lets one of 50 parallel calls with the same username win', async () => {
      const username = newUsername();
      const before = await totals(service);
      const { succeeded, failures } = outcomes(await atOnce(50, () => service.users.createUser({ email: newEmail(), username })));
      expect(succeeded).toBe(1);
      expect(failures).toEqual(Array(49).fill('ALREADY_EXISTS USERNAME_ALREADY_EXISTS'));
      expect(grown(before, await totals(service))).toEqual({ users: 1, profiles: 1, audit_events: 1 });
    });
  });

  describe('request_id', () => {
    it('gives the same user when the call is repeated', async () => {
      const fields = { email: newEmail(), password: PASSWORD, requestId: randomUUID() };
      const before = await totals(service);
      const user = await create(fields);
      expect(await create(fields)).toEqual(user);
      expect(await create({ ...fields, email: fields.email.toUpperCase(), requestId: fields.requestId.toUpperCase() })).toEqual(user);
      expect(grown(before, await totals(service))).toEqual({ users: 1, profiles: 1, password_history: 1, audit_events: 1 });
    });

    it('gives the same user to 20 parallel calls', async () => {
      const fields = { email: newEmail(), username: newUsername(), requestId: randomUUID() };
      const before = await totals(service);
      const results = await atOnce(20, () => create(fields));
      expect(outcomes(results)).toEqual({ succeeded: 20, failures: [] });
      const ids = results.map((result) => result.status === 'fulfilled' && result.value.id);
      expect(new Set(ids).size).toBe(1);
      expect(grown(before, await totals(service))).toEqual({ users: 1, profiles: 1, audit_events: 1 });
    });

    it('is refused for another email', async () => {
      const requestId = randomUUID();
      await create({ requestId });
      const { email: taken } = await create();
      for (const email of [newEmail(), taken]) {
        await expectInvalid(service.users.createUser({ email, requestId }), ['request_id'], 'REQUEST_ID_REUSED');
      }
    });

    it('of its own does not free an email held by another user', async () => {
      const { email } = await create({ requestId: randomUUID() });
      for (const requestId of [randomUUID(), '']) {
        await expectStatus(service.users.createUser({ email, requestId }), 'ALREADY_EXISTS', 'EMAIL_ALREADY_EXISTS');
      }
    });

    it('is shared with Register', async () => {
      const fields = { email: newEmail(), requestId: randomUUID() };
      const user = await create(fields);
      expect((await service.auth.register(fields)).user).toEqual(user);
    });
  });

  describe('of an account with a password', () => {
    it('lets one of 50 parallel calls with the same email win', async () => {
      const email = newEmail();
      const before = await totals(service);
      const { succeeded, failures } = outcomes(await atOnce(50, () => service.users.createUser({ email, password: PASSWORD })));
      expect(succeeded).toBe(1);
      expect(failures).toEqual(Array(49).fill('ALREADY_EXISTS EMAIL_ALREADY_EXISTS'));
      expect(grown(before, await totals(service))).toEqual({ users: 1, profiles: 1, password_history: 1, audit_events: 1 });
    });
  });

  describe('unit of work', () => {
    it.each(['profiles', 'password_history', 'audit_events'])('leaves nothing behind where %s cannot be written', async (table) => {
      const before = await totals(service);
      await whileInsertsFail(service, table, async () => {
        const { message } = await expectStatus(
          service.users.createUser({ email: newEmail(), password: PASSWORD }),
          'INTERNAL',
          'INTERNAL_ERROR',
        );
        expect(message).toBe('internal error');
      });
      expect(await totals(service)).toEqual(before);
    });

    it('leaves nothing behind where the username is taken', async () => {
      const username = newUsername();
      await create({ username });
      const before = await totals(service);
      const call = service.users.createUser({ email: newEmail(), username, password: PASSWORD });
      await expectStatus(call, 'ALREADY_EXISTS', 'USERNAME_ALREADY_EXISTS');
      expect(await totals(service)).toEqual(before);
    });
  });
});

/** By how much each kind of rows has grown. */
function grown(before: Record<string, unknown>, after: Record<string, unknown>): Record<string, number> {
  const growth = Object.keys(after).map((kind) => [kind, Number(after[kind]) - Number(before[kind])] as const);
  return Object.fromEntries(growth.filter(([, count]) => count !== 0));
}
