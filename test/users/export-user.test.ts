import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { User } from '../../src/gen/identity/v1/user.ts';
import { DEVICE } from '../support/audit.ts';
import { logIn, newEmail, newUsername, PASSWORD, register, required } from '../support/builders.ts';
import type { CallSettings } from '../support/client.ts';
import { expectStatus } from '../support/expect-status.ts';
import { keyOf } from '../support/grants.ts';
import { untilMailsAreSent } from '../support/mails.ts';
import { auditTrail, rows } from '../support/rows.ts';
import { useService } from '../support/service.ts';
import { refresh } from '../support/sessions.ts';

const service = useService();

type Document = Record<string, unknown>;

async function exportUser(userId: string, settings?: CallSettings): Promise<Document> {
  const { document } = await service.users.exportUser({ userId }, settings);
  return required(document);
}

const listIn = (document: Document, name: string) => document[name] as Document[];

/** Where the document shows the rows of a table; its columns say which rows are a user's. */
const PLACES: Readonly<Record<string, string>> = {
  users: 'user',
  profiles: 'profile',
  user_roles: 'roles',
  sessions: 'sessions',
  known_devices: 'known_devices',
  device_tokens: 'device_tokens',
  // Counters of the defence, under a keyed hash of what the document has anyway.
  attempted_identifiers: '',
  api_keys: 'api_keys',
  password_history: 'password_history',
  one_time_tokens: 'one_time_tokens',
  email_changes: 'email_changes',
  mails: 'mails',
  events: 'events',
  audit_events: 'audit_events',
};

const NEW_PASSWORD = 'another horse battery staple';

/** The template of mails that are made here, and are not due. */
const OUR_MAIL = 'test';

/** Until every event has led to what follows from it (tokens, mails, more events), and those mails are sent. */
async function untilNothingFollows(): Promise<void> {
  await rows(service, 'delete from mails where template = $1', [OUR_MAIL]);
  await untilMailsAreSent(service);
}

/** Somebody about whom there is something in every table. */
async function wellKnownUser(): Promise<{ user: User; accessToken: string }> {
  const profile = { firstName: 'Ada', lastName: 'Lovelace', birthDate: { year: 1915, month: 12, day: 10 }, phone: '+41446681800' };
  const user = await register(service, { username: newUsername(), profile, client: DEVICE });
  const { tokens } = await service.auth.login({ email: user.email, password: PASSWORD, client: DEVICE });
  await refresh(service, required(tokens).refreshToken, DEVICE);
  await service.auth.changePassword({ userId: user.id, currentPassword: PASSWORD, newPassword: NEW_PASSWORD });
  await service.roles.assignRole({ userId: user.id, role: 'reader' });
  await keyOf(service, { userId: user.id }, ['identity.users.read']);
  const { accessToken } = await logIn(service, user.email, NEW_PASSWORD);
  await service.auth.requestEmailChange({ userId: user.id, newEmail: newEmail() });
  await expectStatus(logIn(service, user.email, 'wrong'), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
  await untilNothingFollows();
  const now = new Date();
  const later = new Date(now.getTime() + 60_000);
  await rows(
    service,
    `insert into one_time_tokens (user_id, purpose, secret_hash, expires_at, created_at) values ($1, 'password_reset', $2, $3, $4)`,
    [user.id, Buffer.from(randomUUID()), later, now],
  );
  await rows(service, `insert into mails (template, user_id, next_attempt_at, created_at) values ($1, $2, $3, $4)`, [
    OUR_MAIL,
    user.id,
    new Date(now.getTime() + 86_400_000),
    now,
  ]);
  return { user, accessToken };
}

/** Every table that says whose its rows are. */
async function tablesOfUsers(): Promise<{ table: string; column: string }[]> {
  return rows(
    service,
    `select table_name as table, column_name as column from information_schema.columns
     where table_schema = 'public' and column_name in ('user_id', 'actor', 'session_id') order by 1, 2`,
  );
}

describe('ExportUser', () => {
  it('gives what is held about the user, with moments as RFC 3339 text', async () => {
    const { user } = await wellKnownUser();
    const document = await exportUser(user.id);
    const moment = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    const { ipAddress: ip_address, userAgent: user_agent, deviceName: device_name } = DEVICE;
    expect(document).toMatchObject({
      user: {
        id: user.id,
        email: user.email,
        username: user.username,
        active: true,
        has_password: true,
        email_verified_at: null,
        created_at: moment,
        updated_at: moment,
        last_login_at: moment,
      },
      profile: { first_name: 'Ada', last_name: 'Lovelace', full_name: 'Ada Lovelace', birth_date: '1915-12-10', phone: '+41446681800' },
      roles: ['reader'],
      api_keys: [{ name: 'test', hint: expect.any(String), scopes: ['identity.users.read'], created_at: moment, revoked_at: null }],
      email_changes: [
        { new_email: expect.stringContaining('@'), old_email: null, requested_at: moment, confirmed_at: null, expires_at: moment },
      ],
      one_time_tokens: expect.arrayContaining([{ purpose: 'password_reset', created_at: moment, expires_at: moment }]),
    });
    expect(listIn(document, 'sessions')[0]).toMatchObject({
      ip_address,
      user_agent,
      device_name,
      auth_methods: ['pwd'],
      created_at: moment,
    });
    expect(listIn(document, 'password_history')).toEqual([{ created_at: moment }, { created_at: moment }]);
    expect(listIn(document, 'mails')).toContainEqual({ template: OUR_MAIL, attempts: 0, created_at: moment, next_attempt_at: moment });
    expect(listIn(document, 'audit_events')).toContainEqual(
      expect.objectContaining({ type: 'user.created', actor: 'service_account:test-admin', ip_address, occurred_at: moment }),
    );
  });

  it('forgets no table that says whose its rows are', async () => {
    const { user } = await wellKnownUser();
    const document = await exportUser(user.id);
    const tables = await tablesOfUsers();
    expect([...new Set(tables.map(({ table }) => table)), 'users'].sort()).toEqual(Object.keys(PLACES).sort());
    for (const { table, column } of tables) {
      if (column === 'actor') continue;
      const mine = column === 'user_id' ? 'user_id = $1' : 'session_id in (select id from sessions where user_id = $1)';
      const [found] = await rows<{ count: number }>(service, `select count(*)::int as count from ${table} where ${mine}`, [user.id]);
      // One of each is made above; what is made anew by the export itself is not in it yet.
      const own = ['audit_events', 'events'].includes(table) ? 1 : 0;
      expect([table, found?.count]).not.toEqual([table, 0]);
      const shown = document[PLACES[table] ?? ''];
      expect(Array.isArray(shown) ? shown.length : 1, table).toBeGreaterThanOrEqual(required(found).count - own);
    }
  });

  it('has no hash, no salt and no secret in it, in no spelling', async () => {
    const { user } = await wellKnownUser();
    const text = JSON.stringify(await exportUser(user.id));
    const columns = await rows<{ table: string; column: string; type: string }>(
      service,
      `select table_name as table, column_name as column, data_type as type from information_schema.columns
       where table_schema = 'public' and (data_type = 'bytea' or column_name ~ 'hash|secret|salt')`,
    );
    expect(columns.length).toBeGreaterThan(8);
    for (const { table, column, type } of columns) {
      for (const { value } of await rows(service, `select ${column} as value from ${table} where ${column} is not null`)) {
        const spellings =
          type === 'bytea' ? (['hex', 'base64', 'base64url'] as const).map((as) => (value as Buffer).toString(as)) : [String(value)];
        for (const spelling of spellings) expect(text.includes(spelling), `${table}.${column}`).toBe(false);
      }
    }
    const tokens = await rows<{ id: string }>(service, 'select id from one_time_tokens');
    for (const { id } of tokens) expect(text).not.toContain(id);
    expect(text).not.toMatch(/\$2[aby]\$|argon2|hmac/);
  });

  it('tells what users have done to others, but not to whom', async () => {
    const { user, accessToken } = await wellKnownUser();
    const other = await register(service);
    await service.roles.assignRole({ userId: user.id, role: 'admin' });
    await service.users.deactivateUser({ userId: other.id }, { token: accessToken });
    const document = await exportUser(user.id);
    expect(listIn(document, 'actions')).toEqual([{ type: 'user.deactivated', occurred_at: expect.any(String) }]);
    expect(JSON.stringify(document)).not.toContain(other.id);
  });

  it('gives nothing about anybody else', async () => {
    const { user: other } = await wellKnownUser();
    const user = await register(service);
    const document = await exportUser(user.id);
    const text = JSON.stringify(document);
    for (const foreign of [other.id, other.email, other.username ?? '']) expect(text).not.toContain(foreign);
    expect(document).toMatchObject({ sessions: [], api_keys: [], roles: [], actions: [] });
  });

  it('lets users export themselves, and nobody else', async () => {
    const { user, accessToken } = await wellKnownUser();
    expect(await exportUser(user.id, { token: accessToken })).toMatchObject({ user: { email: user.email } });
    const other = await register(service);
    await expectStatus(service.users.exportUser({ userId: other.id }, { token: accessToken }), 'PERMISSION_DENIED', 'PERMISSION_DENIED');
  });

  it('is written down', async () => {
    const { id } = await register(service);
    await exportUser(id);
    const types = (await auditTrail(service, id)).filter((type) => type === 'user.exported');
    expect(types).toEqual(['user.exported']);
    expect(listIn(await exportUser(id), 'audit_events').map(({ type }) => type)).toContain('user.exported');
  });

  it('knows nobody of an unknown id', async () => {
    await expectStatus(service.users.exportUser({ userId: randomUUID() }), 'NOT_FOUND', 'USER_NOT_FOUND');
  });

  it.each([
    ['just fits into an answer', 15_000],
    ['does not fit into an answer', 30_000],
    ['does not fit by far', 120_000],
  ])('gives it whole or not at all where it %s', async (_, events) => {
    const { id } = await register(service);
    await rows(
      service,
      `insert into audit_events (type, user_id, actor, occurred_at, user_agent)
       select 'user.login', $1, 'service_account:backend', now(), 'Browser/1.0' from generate_series(1, $2)`,
      [id, events],
    );
    const call = exportUser(id);
    if (events === 15_000) expect(listIn(await call, 'audit_events').length).toBeGreaterThan(events);
    else {
      await expectStatus(call, 'FAILED_PRECONDITION', 'EXPORT_TOO_LARGE');
    }
  });
});
