import { execFile } from 'node:child_process';
import { createHash, createHmac, randomBytes, randomUUID } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ENTITIES } from '../../src/app/orm.ts';
import { migrateUp } from '../../src/database/migrate.ts';
import { pendingMigrations, requireCurrentSchema, SchemaBehindError } from '../../src/database/migrations.ts';
import { type Orm, openOrm } from '../../src/database/orm.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { expectStatus } from '../support/expect-status.ts';
import { untilBlocked } from '../support/locks.ts';
import { startService } from '../support/service.ts';
import { endingsOf, expectDead, expectRefused, partsOf, refresh } from '../support/sessions.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
const FOLDER = path.join(ROOT, 'migrations');
const NAMES = (await readdir(FOLDER))
  .filter((file) => file.endsWith('.ts'))
  .map((file) => file.slice(0, -'.ts'.length))
  .sort();

/** Whether something belongs to an extension, which stays when the migration is undone that has created it. */
const ofExtension = (oid: string) => `exists (select from pg_depend where objid = ${oid} and deptype = 'e')`;

/** Everything in the schema that is not the record of migrations: tables, views, sequences, functions, types. */
async function objects({ pool }: TestDatabase): Promise<string[]> {
  const { rows } = await pool.query<{ name: string }>(`
    select relkind::text || ' ' || relname as name from pg_class
      where relnamespace = 'public'::regnamespace and relkind in ('r', 'v', 'm', 'S', 'p')
    union all select 'function ' || proname from pg_proc where pronamespace = 'public'::regnamespace and not ${ofExtension('oid')}
    union all select 'type ' || typname from pg_type where typnamespace = 'public'::regnamespace and typrelid = 0 and typelem = 0
      and not ${ofExtension('oid')}`);
  return rows.map(({ name }) => name).filter((name) => !name.includes('mikro_orm_migrations'));
}

/** The schema in detail, to tell whether two are the same. */
async function description({ pool }: TestDatabase): Promise<unknown[]> {
  const { rows } = await pool.query(`
    select 'column' as kind, table_name || '.' || column_name as name,
        concat_ws(' ', data_type, character_maximum_length, datetime_precision, is_nullable, column_default) as definition
      from information_schema.columns where table_schema = 'public' and table_name <> 'mikro_orm_migrations'
    union all select 'index', indexname, indexdef from pg_indexes where schemaname = 'public' and tablename <> 'mikro_orm_migrations'
    union all select 'constraint', conname, pg_get_constraintdef(oid) from pg_constraint where connamespace = 'public'::regnamespace
    union all select 'trigger', tgname, pg_get_triggerdef(oid) from pg_trigger where not tgisinternal
    union all select 'function', proname, pg_get_functiondef(oid) from pg_proc
      where pronamespace = 'public'::regnamespace and not ${ofExtension('oid')}
    order by 1, 2, 3`);
  return rows.filter(({ name }) => !name.startsWith('mikro_orm_migrations'));
}

describe('the migrations', () => {
  let database: TestDatabase;
  let orm: Orm;
  beforeAll(async () => {
    database = await createDatabase();
    orm = await openOrm({ url: database.url, entities: ENTITIES, patient: true });
  });
  afterAll(async () => {
    await orm.close();
    await database.drop();
  });

  it('make the schema that the entities describe', async () => {
    expect(await orm.schema.getUpdateSchemaSQL()).toBe('');
  });

  it('can be undone one by one, and each done again at once', async () => {
    const full = await description(database);
    for (const name of NAMES.toReversed()) {
      const before = await description(database);
      expect((await orm.migrator.down()).map((done) => done.name)).toEqual([name]);
      expect(await description(database)).not.toEqual(before);
      expect((await orm.migrator.up({ to: name })).map((done) => done.name)).toEqual([name]);
      expect(await description(database)).toEqual(before);
      await orm.migrator.down();
    }
    expect(await objects(database)).toEqual([]);
    expect((await orm.migrator.up()).map((done) => done.name)).toEqual(NAMES);
    expect(await description(database)).toEqual(full);
  });

  it('have nothing to do on a database that has seen them all', async () => {
    expect(await pendingMigrations(orm)).toEqual([]);
    expect(await migrateUp(database.url, ENTITIES)).toEqual([]);
  });

  it('agree with the snapshot from which the next one will be written', async () => {
    const before = await readFile(path.join(FOLDER, '.snapshot-identity.json'), 'utf8');
    const comparing = await openOrm({ url: database.url, entities: ENTITIES, patient: true, writeSnapshot: true });
    try {
      expect(await comparing.migrator.checkSchema()).toBe(false);
    } finally {
      await comparing.close();
    }
    expect(await readFile(path.join(FOLDER, '.snapshot-identity.json'), 'utf8')).toBe(before);
  });

  it('give a user row everything that it does not say', async () => {
    const { rows } = await database.pool.query(`insert into users (email) values ('plain@example.com') returning *`);
    const [{ id, created_at, updated_at, last_login_at, ...others }] = rows;
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(created_at).toBeInstanceOf(Date);
    expect([updated_at, last_login_at]).toEqual([created_at, created_at]);
    expect(others).toEqual({
      email: 'plain@example.com',
      username: null,
      password_hash: null,
      email_verified_at: null,
      failed_attempts: 0,
      consecutive_failures: 0,
      attempts_in_flight: 0,
      attempted_at: null,
      locked_until: null,
      is_active: true,
      request_id: null,
      search_text: null,
    });
    const profile = await database.pool.query(`insert into profiles (user_id) values ($1) returning *`, [id]);
    expect(profile.rows[0]).toMatchObject({ first_name: '', full_name: '', last_name: null, birth_date: null });
  });

  it('keep updated_at and created_at true whatever SQL says', async () => {
    const insert = `insert into users (email, created_at, updated_at) values ('old@example.com', '2020-01-01', '2020-01-01')`;
    await database.pool.query(insert);
    const change = `update users set failed_attempts = 1, created_at = '2021-01-01', updated_at = '2021-01-01'
      where email = 'old@example.com' returning created_at, updated_at > now() - interval '1 minute' as recent`;
    const { rows } = await database.pool.query(change);
    expect(rows).toEqual([{ created_at: new Date('2020-01-01T00:00:00Z'), recent: true }]);
  });

  it.each([
    ['an email in upper case', `insert into users (email) values ('Upper@example.com')`, 'users_email_check'],
    ['a username in upper case', `insert into users (email, username) values ('a@example.com', 'Upper')`, 'users_username_check'],
    ['a negative count', `insert into users (email, failed_attempts) values ('b@example.com', -1)`, 'users_failed_attempts_check'],
    ['the same email twice', `insert into users (email) values ('c@example.com'), ('c@example.com')`, 'users_email_key'],
    [
      'the same username twice',
      `insert into users (email, username) values ('d@example.com', 'd'), ('e@example.com', 'd')`,
      'users_username_key',
    ],
    [
      'a birth date in the future',
      `with u as (insert into users (email) values ('f@example.com') returning id)
       insert into profiles (user_id, birth_date) select id, current_date + 1 from u`,
      'profiles_birth_date_check',
    ],
    ['a profile of nobody', `insert into profiles (user_id) values (gen_random_uuid())`, 'profiles_user_id_fkey'],
  ])('refuse %s', async (_, sql, constraint) => {
    await expect(database.pool.query(sql)).rejects.toMatchObject({ constraint });
  });

  it('index the locked users, and only those', async () => {
    const { rows } = await database.pool.query(`select indexdef from pg_indexes where indexname = 'users_locked_until_idx'`);
    expect(rows[0].indexdef).toMatch(/\(locked_until\) WHERE \(locked_until IS NOT NULL\)$/);
  });
});

/** A database as it was before a migration, for all tests of a block. */
function useDatabaseBefore(name: string): { readonly database: TestDatabase; readonly orm: Orm } {
  const at = {} as { database: TestDatabase; orm: Orm };
  beforeAll(async () => {
    at.database = await createDatabase({ migrated: false });
    at.orm = await openOrm({ url: at.database.url, entities: ENTITIES, patient: true });
    await at.orm.migrator.up({ to: NAMES[NAMES.indexOf(name) - 1] ?? '' });
  });
  afterAll(async () => {
    await at.orm.close();
    await at.database.drop();
  });
  return at;
}

describe('several migrations at once', () => {
  const at = useDatabaseBefore('Migration20261128000014_lockout_by_identifier_and_device');

  it('are transactions of their own: one that waits for a table keeps nobody from another', async () => {
    const reader = await at.database.pool.connect();
    await reader.query('begin');
    await reader.query('lock table sessions in access share mode');
    const run = migrateUp(at.database.url, ENTITIES);
    try {
      await untilBlocked(at, 1, 'alter table "sessions"');
      // The migration before has changed this table, and is done with it.
      await reader.query('lock table users in access share mode nowait');
    } finally {
      await reader.query('rollback');
      reader.release();
    }
    expect(await run).toContain(NAMES.at(-1));
  });
});

describe('the migration that makes users searchable', () => {
  const NAME = NAMES.find((name) => name.endsWith('_search_users')) ?? '';
  const at = useDatabaseBefore(NAME);

  it('says what to do where its role may not create the extension', async () => {
    const role = `role_${randomUUID().replaceAll('-', '')}`;
    await at.database.pool.query(`create role ${role} login password 'secret'; grant all on schema public to ${role};
      grant all on all tables in schema public to ${role}; grant all on all sequences in schema public to ${role}`);
    const url = Object.assign(new URL(at.database.url), { username: role, password: 'secret' });
    const restricted = await openOrm({ url: url.href, entities: ENTITIES, patient: true });
    try {
      await expect(restricted.migrator.up()).rejects.toThrow(/administrator run "create extension pg_trgm"/);
    } finally {
      await restricted.close();
      await at.database.pool.query(`drop owned by ${role}; drop role ${role}`);
    }
    expect((await pendingMigrations(at.orm))[0]).toBe(NAME);
  });

  it('does so for those who are there already, whom it leaves as they were', async () => {
    const { rows: before } = await at.database.pool.query(
      `with u as (insert into users (email, username, updated_at) values ('ada@example.com', 'ada', '2001-01-01') returning *),
         p as (insert into profiles (user_id, full_name) select id, 'Ada LOVELACE' from u)
       select * from u`,
    );
    await at.orm.migrator.up({ to: NAME });
    const { rows: after } = await at.database.pool.query('select * from users');
    expect(after).toEqual([{ ...before[0], search_text: 'ada@example.com\nada\nada lovelace' }]);
  });
});

describe('the migration that finds sessions by the family of their tokens', () => {
  const NAME = NAMES.find((name) => name.endsWith('_refresh_token_families')) ?? '';
  const [USED, CURRENT, OTHER] = [43, 44, 45].map((byte) => Buffer.alloc(32, byte).toString('base64url')) as [string, string, string];
  const at = useDatabaseBefore(NAME);

  /** Somebody's session as the version before left it, with a token that was used and one that was not. */
  async function oldSession(used: string | null, current: string): Promise<void> {
    await at.database.pool.query(
      `with u as (insert into users (email) values ($1) returning id),
         p as (insert into profiles (user_id) select id from u),
         s as (insert into sessions (user_id, auth_methods, created_at, last_active_at, expires_at, previous_refresh_hash, refresh_hash, refreshed_at)
               select id, '{pwd}', now() - interval '1 day', now(), now() + interval '1 day', sha256($2), sha256($3),
                 case when $2 is not null then now() end
               from u returning id)
       insert into refresh_tokens (token_hash, session_id, created_at)
         select sha256(token), id, now() from s, unnest(array[$2, $3]) token where token is not null`,
      [`${randomUUID()}@example.com`, used && Buffer.from(used), Buffer.from(current)],
    );
  }

  const issued = async () => (await at.database.pool.query(`select token_hash, session_id from refresh_tokens order by token_hash`)).rows;

  it('gives back, when it is undone, what is known of the tokens', async () => {
    await oldSession(USED, CURRENT);
    await oldSession(null, OTHER);
    const before = await issued();
    expect(before).toHaveLength(3);
    await at.orm.migrator.up({ to: NAME });
    await at.orm.migrator.down();
    expect(await issued()).toEqual(before);
    await at.orm.migrator.up();
  });

  it('lets a token from before be traded in, its successors as well, and recognises it when it comes back', async () => {
    const service = await startService({}, at.database);
    try {
      const next = await refresh(service, CURRENT);
      expect(partsOf(next.refreshToken).family).toBe(CURRENT);
      const last = await refresh(service, next.refreshToken);
      expect(partsOf(last.refreshToken).family).toBe(CURRENT);
      service.clock.advance(10);
      await expectStatus(service.auth.refreshToken({ refreshToken: CURRENT }), 'UNAUTHENTICATED', 'INVALID_REFRESH_TOKEN');
      await expectDead(service, last);
      expect(await endingsOf(service, last.sessionId)).toEqual(['refresh_reused']);
    } finally {
      await service.stop();
    }
  });

  it('gives the successor of such a token again within the grace, and lets it log out', async () => {
    const service = await startService({}, at.database);
    try {
      const next = await refresh(service, OTHER);
      expect((await refresh(service, OTHER)).refreshToken).toBe(next.refreshToken);
      await service.auth.logout({ refreshToken: OTHER });
      await expectDead(service, next);
    } finally {
      await service.stop();
    }
  });
});

describe('a start on a schema that is behind', () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createDatabase({ migrated: false });
  });
  afterAll(() => database.drop());

  it('is refused with the command to run, and leaves an empty database empty', async () => {
    await expect(startService({}, database)).rejects.toThrow(SchemaBehindError);
    await expect(startService({}, database)).rejects.toThrow('Run: npm run db:up');
    const { rows } = await database.pool.query(`select relname from pg_class where relnamespace = 'public'::regnamespace`);
    expect(rows).toEqual([]);
  });

  it('is refused when only the latest migration is missing, which it names', async () => {
    const orm = await openOrm({ url: database.url, entities: ENTITIES, patient: true });
    try {
      await orm.migrator.up();
      await expect(requireCurrentSchema(orm)).resolves.toBeUndefined();
      await orm.migrator.down();
      await expect(requireCurrentSchema(orm)).rejects.toThrow(`behind by 1 migration(s): ${NAMES.at(-1)}`);
    } finally {
      await orm.close();
    }
    await expect(startService({}, database)).rejects.toThrow(NAMES.at(-1));
  });

  it('does not create the database itself', async () => {
    const url = new URL(database.url);
    url.pathname = '/no_such_database';
    await expect(startService({ DATABASE_URL: url.href }, { ...database, url: url.href })).rejects.toThrow(/does not exist/);
    const { rows } = await database.pool.query(`select from pg_database where datname = 'no_such_database'`);
    expect(rows).toEqual([]);
  });
});

describe('npm run db:*', () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createDatabase({ migrated: false });
  });
  afterAll(() => database.drop());

  /** What a command prints, line by line. */
  async function db(...args: string[]): Promise<string[]> {
    const env = { PATH: process.env.PATH, DATABASE_URL: database.url };
    const { stdout } = await promisify(execFile)(process.execPath, ['src/commands/db.ts', ...args], { cwd: ROOT, env });
    return stdout.trimEnd().split('\n');
  }

  const folder = async () =>
    Promise.all((await readdir(FOLDER)).sort().map(async (name) => [name, await readFile(path.join(FOLDER, name), 'utf8')]));

  it('status, up and down tell and do one thing each', async () => {
    const before = await folder();
    expect(await db('status')).toEqual(NAMES.map((name) => `pending   ${name}`));
    expect(await db('down')).toEqual(['There is nothing to undo.']);
    expect(await objects(database)).toEqual([]);
    expect(await db('up')).toEqual(NAMES.map((name) => `up    ${name}`));
    expect(await db('up')).toEqual(['The schema is up to date.']);
    expect(await db('down')).toEqual([`down  ${NAMES.at(-1)}`]);
    expect(await db('status')).toEqual(NAMES.map((name) => `${name === NAMES.at(-1) ? 'pending  ' : 'executed '} ${name}`));
    expect(await folder()).toEqual(before);
  }, 60_000);

  it('create writes nothing where the entities have not changed', async () => {
    const before = await folder();
    expect(await db('create', 'nothing')).toEqual(['The entities have not changed.']);
    expect(await folder()).toEqual(before);
  });

  it('says how it is used, and fails, where the command is none', async () => {
    await expect(db('sideways')).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining('npm run db:up') });
  });
});

describe('the migration that lets sessions remember rotations and belong to generations', () => {
  const NAME = NAMES.find((name) => name.endsWith('_session_generations')) ?? '';
  const at = useDatabaseBefore(NAME);
  const sha256 = (text: string) => createHash('sha256').update(text).digest();

  /** A session as the version before left it: with a token that was refreshed, and the answer to it. */
  async function oldSession() {
    const [family, secret] = [randomBytes(32).toString('base64url'), randomBytes(32).toString('base64url')];
    const salt = randomBytes(32);
    const previous = `${family}.${secret}`;
    const current = `${family}.${createHmac('sha256', salt).update(previous).digest('base64url')}`;
    const { rows } = await at.database.pool.query<{ id: string }>(
      `with u as (insert into users (email) values ($1) returning id), p as (insert into profiles (user_id) select id from u)
       insert into sessions (user_id, auth_methods, created_at, last_active_at, expires_at, refreshed_at, refresh_salt, refresh_family_hash,
         previous_refresh_hash, refresh_hash)
       select id, '{pwd}', now(), now(), now() + interval '1 day', now(), $2, $3, $4, $5 from u returning id`,
      [`${randomUUID()}@example.com`, salt, sha256(family), sha256(previous), sha256(current)],
    );
    return { id: rows[0]?.id ?? '', previous, current };
  }

  it('leaves tokens from before good: the current one, and the one before it, whose answer may have been lost', async () => {
    const [one, two] = [await oldSession(), await oldSession()];
    await at.orm.migrator.up();
    const service = await startService({}, at.database);
    try {
      expect((await refresh(service, one.previous)).refreshToken).toBe(one.current);
      for (const { current, id } of [one, two]) {
        const next = await refresh(service, current);
        expect((await refresh(service, current)).refreshToken).toBe(next.refreshToken);
        expect(await endingsOf(service, id)).toEqual([]);
      }
      service.clock.advance(60);
      // Made up, by adding a checksum to a token that never had one.
      await expectRefused(service, `${one.current}.${'x'.repeat(22)}`);
      expect(await endingsOf(service, one.id)).toEqual([]);
    } finally {
      await service.stop();
    }
  });

  it('leaves ended, when it is undone, what RevokeEverySession has ended', async () => {
    const service = await startService({}, at.database);
    await service.sessions.revokeEverySession({});
    await service.stop();
    await at.orm.migrator.down({ to: NAMES[NAMES.indexOf(NAME) - 1] ?? '' });
    const { rows } = await at.database.pool.query('select revoked_at is not null as ended from sessions');
    expect(rows).toEqual([{ ended: true }, { ended: true }]);
  });
});
