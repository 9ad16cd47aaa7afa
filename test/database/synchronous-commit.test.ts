import type { Pool, PoolClient } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { poolOf } from '../../src/database/orm.ts';
import { DEVICE } from '../support/audit.ts';
import { atOnce, logIn, newEmail, PASSWORD, register, signedIn } from '../support/builders.ts';
import { asAdmin, createDatabase, type TestDatabase } from '../support/database.ts';
import { expectStatus, failureOf } from '../support/expect-status.ts';
import { untilNoMailIsPending } from '../support/mailbox.ts';
import { rows } from '../support/rows.ts';
import { startService, type TestService } from '../support/service.ts';

/** Those of which a commit may be forgotten by a crash: counts that only grow too small. All others hold what somebody was told. */
const FORGETTABLE = ['mails', 'rate_limits', 'attempted_identifiers'];

let database: TestDatabase;
let service: TestService;
let pool: Pool;

/** The database says `on`, as in production; the server of the tests says `off`. */
beforeAll(async () => {
  database = await createDatabase();
  await asAdmin(`alter database ${new URL(database.url).pathname.slice(1)} set synchronous_commit = on`);
  await database.pool.query('create table commits (relation text not null, operation text not null, setting text not null)');
  await database.pool.query(`create function note_commit() returns trigger as $$ begin
    insert into commits values (TG_TABLE_NAME, TG_OP, current_setting('synchronous_commit')); return null; end; $$ language plpgsql`);
  for (const { name } of (await database.pool.query(`select tablename as name from pg_tables where schemaname = 'public'`)).rows) {
    if (name === 'commits') continue;
    // Deferred: it runs at the commit and so sees what that goes by, wherever in the transaction it was set.
    await database.pool.query(`create constraint trigger note_commit after insert or update or delete on "${name}"
      deferrable initially deferred for each row execute function note_commit()`);
  }
  service = await startService({ RATE_LIMIT_PER_ADDRESS: '1000', RATE_LIMIT_PER_IDENTIFIER: '1000' }, database);
  pool = await poolOf(service.app.orm);
});

afterAll(async () => {
  await service?.stop();
  await database.drop();
});

/** What each connection of the service goes by, when nobody uses it. */
async function settings(): Promise<string[]> {
  const connections: PoolClient[] = [];
  try {
    for (let count = 0; count < pool.options.max; count++) connections.push(await pool.connect());
    const answers = connections.map((connection) => connection.query(`select current_setting('synchronous_commit') as setting`));
    return (await Promise.all(answers)).map((answer) => answer.rows[0].setting);
  } finally {
    for (const connection of connections) connection.release();
  }
}

/** What commits went by, of what `run` has written: `users update on`. */
async function commitsOf(run: () => Promise<unknown>): Promise<string[]> {
  await untilNoMailIsPending(database.pool);
  await rows(service, 'delete from commits');
  await run();
  const found = await rows(service, 'select distinct relation, lower(operation) as operation, setting from commits order by 1, 2, 3');
  return found.map(({ relation, operation, setting }) => `${relation} ${operation} ${setting}`);
}

const fail = (email: string) =>
  expectStatus(service.auth.login({ email, password: 'wrong', client: DEVICE }), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');

describe('a commit that need not wait for the disk', () => {
  it('is that of a count alone', async () => {
    const { email } = await register(service);
    const unknown = newEmail();
    const commits = await commitsOf(async () => {
      await service.auth.login({ email, password: PASSWORD, client: DEVICE });
      await fail(email);
      await fail(unknown);
    });
    // Otherwise this test sees nothing.
    expect(commits).toEqual(expect.arrayContaining(['users update off', 'attempted_identifiers insert off', 'rate_limits insert off']));
    const forgotten = commits.filter((commit) => commit.endsWith(' off') && !FORGETTABLE.includes(commit.split(' ')[0] ?? ''));
    expect(forgotten).toEqual(['users update off']);
  });

  it('leaves its connection as it was, however many there are at once', async () => {
    const { email } = await register(service);
    await atOnce(40, (index) => {
      const client = { ...DEVICE, ipAddress: `203.0.113.${index}` };
      return service.auth.login({ email: index % 2 ? email : newEmail(), password: index % 4 === 1 ? PASSWORD : 'wrong', client });
    });
    await untilNoMailIsPending(database.pool);
    expect(new Set(await settings())).toEqual(new Set(['on']));
  });
});

describe('a commit that waits for the disk', () => {
  it('is that of what becomes of a login: the session, the audit trail, the event', async () => {
    const { email } = await register(service);
    for (let count = 0; count < 5; count++) await logIn(service, email);
    const commits = await commitsOf(() => service.auth.login({ email, password: PASSWORD, client: DEVICE }));
    const written = ['sessions insert on', 'sessions update on', 'audit_events insert on', 'events insert on', 'known_devices insert on'];
    expect(commits).toEqual(expect.arrayContaining([...written, 'users update on']));
  });

  it('is that of a failed attempt, and of one that is given back', async () => {
    const { email } = await register(service);
    expect(await commitsOf(() => fail(email))).toEqual(expect.arrayContaining(['audit_events insert on']));
    const strict = await startService({ REQUIRE_VERIFIED_EMAIL: 'true' }, database);
    try {
      const givenBack = await commitsOf(() => failureOf(strict.auth.login({ email, password: PASSWORD })));
      expect(givenBack).toEqual(expect.arrayContaining(['users update off', 'users update on']));
    } finally {
      await strict.stop();
    }
  });

  it('is that of whatever else is answered', async () => {
    const { user, tokens } = await signedIn(service);
    const { id } = user;
    const change = { userId: id, currentPassword: PASSWORD, newPassword: 'another good passphrase' };
    const commits = await commitsOf(async () => {
      await register(service);
      await service.users.updateUser({ user: { id, profile: { bio: 'Hello' } } });
      await service.auth.refreshToken({ refreshToken: tokens.refreshToken });
      await service.roles.assignRole({ role: 'reader', userId: id });
      await service.apiKeys.createApiKey({ userId: id, name: 'a key' });
      await service.auth.requestPasswordReset({ email: user.email });
      await service.auth.changePassword(change);
      await service.users.deactivateUser({ userId: id });
      await service.users.deleteUser({ userId: id });
      await untilNoMailIsPending(database.pool);
    });
    const forgotten = commits.filter((commit) => commit.endsWith(' off') && !FORGETTABLE.includes(commit.split(' ')[0] ?? ''));
    // The claim of the attempt with the current password.
    expect(forgotten).toEqual(['users update off']);
    expect(commits.filter((commit) => commit.startsWith('mails'))).toEqual(['mails delete on', 'mails insert on', 'mails update off']);
    expect(new Set(await settings())).toEqual(new Set(['on']));
  });
});
