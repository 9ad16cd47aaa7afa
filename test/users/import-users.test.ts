import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { auditEvents } from '../support/audit.ts';
import { atOnce, logIn, newEmail, newUsername, PASSWORD, register } from '../support/builders.ts';
import { expectStatus } from '../support/expect-status.ts';
import { programWith, roleWith } from '../support/grants.ts';
import { type Answer, importOne, importUsers, newRow, PASSWORD_HASH, type Row } from '../support/import-users.ts';
import { rows, totals } from '../support/rows.ts';
import { startService, useService } from '../support/service.ts';

const service = useService({ REQUIRED_PROFILE_FIELDS: 'full_name,phone' });

const outcomes = (answers: readonly Answer[]) => answers.map(({ outcome, reason }) => reason ?? outcome);

const newRows = (count: number, fields: (index: number) => Row = () => ({})) =>
  Array.from({ length: count }, (_, index) => newRow(fields(index)));

describe('ImportUsers', () => {
  it('creates a user with everything that the row has', async () => {
    const row = newRow({
      email: ` Ada-${randomUUID()}@Example.COM`,
      username: `Ada-${randomUUID()}`,
      profile: {
        firstName: 'Ada',
        lastName: 'Lovelace',
        bio: 'Countess.\nWrote the first program.',
        birthDate: { year: 1915, month: 12, day: 10 },
        avatarUrl: 'https://example.com/ada.png',
        phone: '+41446681800',
      },
      roles: ['reader', 'service', 'reader'],
      emailVerified: true,
      passwordHash: PASSWORD_HASH,
    });
    const answer = await importOne(service, row);
    expect(answer).toMatchObject({ row: 0, requestId: row.requestId, outcome: 'CREATED', reason: undefined });
    const { user } = await service.users.getUser({ userId: answer.userId });
    expect(user).toMatchObject({
      email: row.email?.trim().toLowerCase(),
      username: row.username?.toLowerCase(),
      emailVerified: true,
      active: true,
      hasPassword: true,
      roles: ['reader', 'service'],
      profile: { ...row.profile, fullName: 'Ada Lovelace' },
    });
    await logIn(service, user?.email ?? '');
  });

  it('creates a user from an email alone: REQUIRED_PROFILE_FIELDS do not apply, and there is no password', async () => {
    const { outcome, userId } = await importOne(service, { email: newEmail() });
    expect(outcome).toBe('CREATED');
    expect((await service.users.getUser({ userId })).user).toMatchObject({
      username: undefined,
      emailVerified: false,
      active: true,
      hasPassword: false,
      roles: [],
      profile: { firstName: '', fullName: '', birthDate: undefined },
    });
  });

  it('takes an empty username or hash for none', async () => {
    const { userId } = await importOne(service, newRow({ username: '', passwordHash: '' }));
    expect((await service.users.getUser({ userId })).user).toMatchObject({ username: undefined, hasPassword: false });
  });

  it('imports a deactivated user, who cannot sign in until they are reactivated', async () => {
    const row = newRow({ passwordHash: PASSWORD_HASH, deactivated: true });
    const { userId } = await importOne(service, row);
    expect((await service.users.getUser({ userId })).user?.active).toBe(false);
    await expectStatus(service.auth.login({ email: row.email ?? '', password: PASSWORD }), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
    await service.users.reactivateUser({ userId });
    await logIn(service, row.email ?? '');
  });

  it('records each user and each role, for auditors and for followers, and sends no mail', async () => {
    const { userId } = await importOne(service, newRow({ roles: ['reader'], passwordHash: PASSWORD_HASH }));
    expect(await auditEvents(service, 'user.created', userId)).toMatchObject([{ actor: 'service_account:test-admin', ipAddress: null }]);
    const recorded = await rows(service, 'select type, metadata from audit_events where user_id = $1 order by type', [userId]);
    const told = await rows(service, 'select type, payload as metadata from events where user_id = $1 order by type', [userId]);
    expect(recorded).toEqual([
      { type: 'role.assigned', metadata: { role: 'reader', source: 'import' } },
      { type: 'user.created', metadata: { source: 'import' } },
    ]);
    expect(told).toEqual(recorded);
    expect(await rows(service, 'select 1 from mails where user_id = $1', [userId])).toEqual([]);
  });

  it('names the user who imports as the actor', async () => {
    const { id, email } = await register(service, { profile: { fullName: 'Ada', phone: '+41446681800' } });
    await service.roles.assignRole({ userId: id, role: 'admin' });
    const { accessToken } = await logIn(service, email);
    const { userId } = await importOne(service, newRow(), { token: accessToken });
    expect(await auditEvents(service, 'user.created', userId)).toMatchObject([{ actor: `user:${id}` }]);
  });

  it('answers every row in order, and a bad one stops no other', async () => {
    const given = newRows(1200, (index) => (index % 7 === 3 ? { email: 'nobody' } : {}));
    const answers = await importUsers(service, given);
    expect(answers.map(({ row }) => row)).toEqual(given.map((_, index) => index));
    expect(answers.map(({ requestId }) => requestId)).toEqual(given.map(({ requestId }) => requestId));
    expect(outcomes(answers)).toEqual(given.map((_, index) => (index % 7 === 3 ? 'INVALID_FIELDS' : 'CREATED')));
    const ids = answers.flatMap(({ userId }) => userId || []);
    expect(new Set(ids).size).toBe(outcomes(answers).filter((outcome) => outcome === 'CREATED').length);
    const stored = await rows(service, 'select id from users join profiles on user_id = id where id = any($1)', [ids]);
    expect(stored).toHaveLength(ids.length);
  });

  it.each<[string, Row, string[]]>([
    ['no email', { email: '' }, ['email']],
    ['a NUL in the email', { email: 'a\0b@example.com' }, ['email']],
    ['a username that is none', { username: 'a@b' }, ['username']],
    ['a NUL in a name', { profile: { firstName: 'A\0da' } }, ['profile.first_name']],
    ['a name that is too long', { profile: { fullName: 'a'.repeat(201) } }, ['profile.full_name']],
    ['a birthday that is none', { profile: { birthDate: { year: 2001, month: 2, day: 29 } } }, ['profile.birth_date']],
    ['a birthday to come', { profile: { birthDate: { year: 2901, month: 2, day: 2 } } }, ['profile.birth_date']],
    ['a request_id that is no UUID', { requestId: 'row-1' }, ['request_id']],
    ['a request_id of 200 kB', { requestId: 'a'.repeat(200_000) }, ['request_id']],
    ['1,000 roles', { roles: Array.from({ length: 1000 }, (_, index) => `role-${index}`) }, ['roles']],
    ['a NUL in a role', { roles: ['read\0er'] }, ['roles[0]']],
    ['a hash of a kind that nobody knows', { passwordHash: 'correct horse battery staple' }, ['password_hash']],
    ['a NUL in a hash', { passwordHash: `${PASSWORD_HASH}\0` }, ['password_hash']],
    ['a hash that takes minutes to compare', { passwordHash: PASSWORD_HASH.replace('$04$', '$31$') }, ['password_hash']],
    ['a hash of 200 kB', { passwordHash: `$2b$04$${'a'.repeat(200_000)}` }, ['password_hash']],
    ['several faults', { email: 'x', username: 'x', passwordHash: 'x' }, ['email', 'password_hash', 'username']],
  ])('refuses a row with %s, and tells every field', async (_, fields, expected) => {
    const before = await totals(service);
    const [answer, next] = await importUsers(service, [newRow(fields), newRow()]);
    expect(answer).toMatchObject({ outcome: 'REFUSED', reason: 'INVALID_FIELDS', userId: '' });
    expect([...(answer?.fields ?? [])].sort()).toEqual(expected);
    expect(answer?.requestId.length).toBeLessThanOrEqual(200);
    expect(next?.outcome).toBe('CREATED');
    expect((await totals(service)).users).toBe(String(Number(before.users) + 1));
  });
});

describe('the roles of a row', () => {
  it('must exist', async () => {
    const answers = await importUsers(service, [newRow({ roles: ['reader', 'no-such-role'] }), newRow({ roles: ['reader'] })]);
    expect(outcomes(answers)).toEqual(['ROLE_NOT_FOUND', 'CREATED']);
  });

  it('must not exceed the caller; the attempt is written down', async () => {
    const small = await roleWith(service, ['identity.users.import']);
    const { key, name } = await programWith(service, ['identity.users.import']);
    const given = [newRow({ roles: ['admin'] }), newRow({ roles: [small] }), newRow(), newRow({ roles: [small, 'reader'] })];
    const answers = await importUsers(service, given, { token: key });
    expect(outcomes(answers)).toEqual(['GRANT_EXCEEDS_CALLER', 'CREATED', 'CREATED', 'GRANT_EXCEEDS_CALLER']);
    const noted = await rows(service, `select metadata->>'reason' as reason from audit_events where type = 'call.refused' and actor = $1`, [
      `service_account:${name}`,
    ]);
    expect(noted).toEqual([{ reason: 'GRANT_EXCEEDS_CALLER' }]);
  });

  it('permit what they permit anywhere', async () => {
    const row = newRow({ roles: ['admin'], passwordHash: PASSWORD_HASH });
    await importOne(service, row);
    const { accessToken } = await logIn(service, row.email ?? '');
    await service.users.listUsers({}, { token: accessToken });
  });
});

describe('a duplicate', () => {
  it('of an email or a username in the database is refused, in any case', async () => {
    const [email, username] = [newEmail(), newUsername()];
    await importOne(service, newRow({ email, username }));
    const answers = await importUsers(service, [
      newRow({ email: email.toUpperCase() }),
      newRow({ username: username.toUpperCase() }),
      newRow({ email, username }),
    ]);
    expect(outcomes(answers)).toEqual(['EMAIL_ALREADY_EXISTS', 'USERNAME_ALREADY_EXISTS', 'EMAIL_ALREADY_EXISTS']);
  });

  it('within the stream is refused: the first is created', async () => {
    const [email, username] = [newEmail(), newUsername()];
    const answers = await importUsers(service, [
      newRow({ email, username }),
      newRow({ email }),
      newRow({ username }),
      ...newRows(600),
      newRow({ email }),
      newRow({ username }),
    ]);
    const found = outcomes(answers).filter((outcome) => outcome !== 'CREATED');
    expect(found).toEqual(['EMAIL_ALREADY_EXISTS', 'USERNAME_ALREADY_EXISTS', 'EMAIL_ALREADY_EXISTS', 'USERNAME_ALREADY_EXISTS']);
    expect(answers[0]?.outcome).toBe('CREATED');
  });

  it('does not matter where the first is refused for something else', async () => {
    const email = newEmail();
    const answers = await importUsers(service, [
      newRow({ email, roles: ['no-such-role'] }),
      newRow({ email, username: '!' }),
      newRow({ email }),
    ]);
    expect(outcomes(answers)).toEqual(['ROLE_NOT_FOUND', 'INVALID_FIELDS', 'CREATED']);
  });

  it('five hundred times over is refused but for the first', async () => {
    const email = newEmail();
    const answers = await importUsers(
      service,
      newRows(500, () => ({ email })),
    );
    expect(outcomes(answers)).toEqual(['CREATED', ...Array.from({ length: 499 }, () => 'EMAIL_ALREADY_EXISTS')]);
  });
});

describe('the same request_id again', () => {
  it('changes nothing and gives the user of the first time, whatever else the row says', async () => {
    const row = newRow({ profile: { firstName: 'Ada' }, roles: ['reader'] });
    const { userId } = await importOne(service, row);
    const again = await importUsers(service, [row, { ...row, profile: { firstName: 'Eve' }, roles: ['no-such-role'] }, newRow(), row]);
    expect(again.map(({ outcome, userId }) => [outcome, userId])).toEqual([
      ['UNCHANGED', userId],
      ['UNCHANGED', userId],
      ['CREATED', again[2]?.userId],
      ['UNCHANGED', userId],
    ]);
    expect((await service.users.getUser({ userId })).user?.profile?.firstName).toBe('Ada');
  });

  it('is unchanged within one stream, too', async () => {
    const row = newRow();
    const [first, second] = await importUsers(service, [row, row]);
    expect([first?.outcome, second?.outcome, second?.userId]).toEqual(['CREATED', 'UNCHANGED', first?.userId]);
  });

  it('with another email is refused, also where CreateUser has used it', async () => {
    const requestId = randomUUID();
    const email = newEmail();
    const answers = await importUsers(service, [newRow({ requestId, email }), newRow({ requestId })]);
    expect(outcomes(answers)).toEqual(['CREATED', 'REQUEST_ID_REUSED']);
    const used = randomUUID();
    const profile = { fullName: 'Ada', phone: '+41446681800' };
    const { user } = await service.users.createUser({ email: newEmail(), requestId: used, profile });
    const later = await importUsers(service, [newRow({ requestId: used }), newRow({ requestId: used, email: user?.email ?? '' })]);
    expect(outcomes(later)).toEqual(['REQUEST_ID_REUSED', 'UNCHANGED']);
    expect(later[1]?.userId).toBe(user?.id);
  });

  it('makes a whole import safe to run again', async () => {
    const given = newRows(1100, () => ({ roles: ['reader'], passwordHash: PASSWORD_HASH }));
    const first = await importUsers(service, given);
    const before = await totals(service);
    const second = await importUsers(service, given);
    expect(new Set(outcomes(second))).toEqual(new Set(['UNCHANGED']));
    expect(second.map(({ userId }) => userId)).toEqual(first.map(({ userId }) => userId));
    expect(await totals(service)).toEqual(before);
  });
});

describe('imports at the same time', () => {
  it('of one file, on two servers and in opposite orders, create each user exactly once', async () => {
    const other = await startService({}, service.database);
    const given = newRows(800, (index) => ({ username: newUsername(), roles: index % 2 ? ['reader'] : [] }));
    const before = await totals(service);
    const settled = await atOnce(4, (index) => importUsers(index % 2 ? other : service, index < 2 ? given : given.toReversed()));
    const answers = settled.map((result, index) => {
      if (result.status === 'rejected') throw result.reason;
      return index < 2 ? result.value : result.value.toReversed();
    });
    given.forEach((_, index) => {
      const ofRow = answers.map((import_) => import_[index]);
      expect(ofRow.map((answer) => answer?.outcome).sort()).toEqual(['CREATED', 'UNCHANGED', 'UNCHANGED', 'UNCHANGED']);
      expect(new Set(ofRow.map((answer) => answer?.userId)).size).toBe(1);
    });
    const after = await totals(service);
    for (const kind of ['users', 'profiles']) expect(Number(after[kind]) - Number(before[kind])).toBe(given.length);
    await other.stop();
  });

  it('of users who share emails and usernames crosswise lose only the rows that collide', async () => {
    const names = Array.from({ length: 300 }, () => ({ email: newEmail(), username: newUsername() }));
    const straight = names.map(({ email, username }) => newRow({ email, username }));
    const crossed = names.map(({ email }, index) => newRow({ email, username: names[(index + 1) % names.length]?.username ?? '' }));
    const [one, two] = await Promise.all([importUsers(service, straight), importUsers(service, crossed)]);
    const all = [...outcomes(one), ...outcomes(two)];
    const expected = ['CREATED', 'EMAIL_ALREADY_EXISTS', 'USERNAME_ALREADY_EXISTS'];
    expect(all.filter((outcome) => !expected.includes(outcome))).toEqual([]);
    const stored = await rows(service, 'select email from users where email = any($1)', [names.map(({ email }) => email)]);
    expect(stored).toHaveLength(all.filter((outcome) => outcome === 'CREATED').length);
    expect(stored.length).toBeGreaterThanOrEqual(150);
  });
});

describe('validate_only', () => {
  it('stores nothing and tells what would become of each row', async () => {
    const [email, username] = [newEmail(), newUsername()];
    const there = newRow({ email, username });
    const { userId } = await importOne(service, there);
    const before = await totals(service);
    const check = (fields: Row) => newRow({ validateOnly: true, ...fields });
    const fresh = check({ username: newUsername(), roles: ['reader'] });
    const answers = await importUsers(service, [
      fresh,
      check({ email: 'x' }),
      check({ email }),
      check({ username }),
      check({ roles: ['no-such-role'] }),
      check(there),
      check({ email: fresh.email ?? '' }),
      check({ username: fresh.username ?? '' }),
      fresh,
      check({ requestId: fresh.requestId ?? '' }),
      ...newRows(700, () => ({ validateOnly: true })),
      check({ email: fresh.email ?? '' }),
    ]);
    expect(outcomes(answers).filter((outcome, index) => index < 10 || outcome !== 'VALID')).toEqual([
      'VALID',
      'INVALID_FIELDS',
      'EMAIL_ALREADY_EXISTS',
      'USERNAME_ALREADY_EXISTS',
      'ROLE_NOT_FOUND',
      'UNCHANGED',
      'EMAIL_ALREADY_EXISTS',
      'USERNAME_ALREADY_EXISTS',
      'UNCHANGED',
      'REQUEST_ID_REUSED',
      'EMAIL_ALREADY_EXISTS',
    ]);
    expect(answers[5]?.userId).toBe(userId);
    expect(answers[8]?.userId).toBe('');
    expect(await totals(service)).toEqual(before);
  });

  it('takes no email from a row that is meant', async () => {
    const row = newRow();
    expect(outcomes(await importUsers(service, [{ ...row, validateOnly: true }]))).toEqual(['VALID']);
    expect(outcomes(await importUsers(service, [row]))).toEqual(['CREATED']);
  });
});

describe('a row that the database refuses', () => {
  /** Makes PostgreSQL fail so at every user whose email begins with `poison`. */
  async function poison(sqlstate: string): Promise<void> {
    await rows(
      service,
      `create or replace function poison() returns trigger language plpgsql as $$
         begin raise exception 'poisoned by %', new.email using errcode = '${sqlstate}', constraint = 'users_email_check'; end $$`,
    );
    await rows(service, 'drop trigger if exists poison on users');
    await rows(
      service,
      `create trigger poison before insert on users for each row when (new.email like 'poison%') execute function poison()`,
    );
  }

  it.each([
    ['22023', 'INTERNAL_ERROR'],
    ['23514', 'INVALID_FIELDS'],
    ['40001', 'CONCURRENT_UPDATE'],
  ])('with SQLSTATE %s costs no other', async (sqlstate, reason) => {
    await poison(sqlstate);
    const bad = (index: number) => index === 17 || index === 490;
    const given = newRows(501, (index) => (bad(index) ? { email: `poison-${newEmail()}` } : { roles: ['reader'] }));
    const answers = await importUsers(service, given);
    await rows(service, 'drop trigger poison on users');
    expect(outcomes(answers)).toEqual(given.map((_, index) => (bad(index) ? reason : 'CREATED')));
    expect(answers.map(({ message }) => message ?? '').join('')).not.toContain('poison');
    const ids = answers.flatMap(({ userId }) => userId || []);
    expect(await rows(service, 'select 1 from user_roles where user_id = any($1)', [ids])).toHaveLength(given.length - 2);
  });

  it('ends the stream where it is a defect, with a constant text', async () => {
    await poison('XX000');
    const answers = importUsers(service, [newRow(), newRow({ email: `poison-${newEmail()}` })]);
    const failure = await expectStatus(answers, 'INTERNAL', 'INTERNAL_ERROR').finally(() => rows(service, 'drop trigger poison on users'));
    expect(failure.message).toBe('internal error');
  });
});
