import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newEmail, PASSWORD, register, signedIn } from '../support/builders.ts';
import { asAdmin, createDatabase, type TestDatabase } from '../support/database.ts';
import { expectStatus } from '../support/expect-status.ts';
import { startService, type TestService } from '../support/service.ts';

/** Defaults of a database that statements must not depend on. */
const DEFAULTS = [
  `"DateStyle" = 'German'`,
  `"IntervalStyle" = 'sql_standard'`,
  `"TimeZone" = 'Asia/Kolkata'`,
  `bytea_output = 'escape'`,
  `extra_float_digits = -15`,
  `standard_conforming_strings = off`,
  `default_transaction_isolation = 'repeatable read'`,
];

describe('on a database with other defaults', () => {
  let database: TestDatabase;
  let service: TestService;

  beforeAll(async () => {
    database = await createDatabase();
    const name = new URL(database.url).pathname.slice(1);
    for (const setting of DEFAULTS) await asAdmin(`alter database ${name} set ${setting}`);
    service = await startService({}, database);
  });

  afterAll(async () => {
    await service?.stop();
    await database.drop();
  });

  it('moments, pages and secrets are what they are elsewhere', async () => {
    const { user, tokens } = await signedIn(service);
    const others = [await register(service), await register(service), await register(service)];
    const seen: string[] = [];
    for (let pageToken = ''; ; ) {
      const page = await service.users.listUsers({ pageSize: 1, pageToken });
      seen.push(...page.users.map(({ id }) => id));
      pageToken = page.nextPageToken;
      if (pageToken === '') break;
    }
    expect(seen).toEqual([...others.map(({ id }) => id).reverse(), user.id]);
    const { sessions } = await service.sessions.listSessions({ userId: user.id });
    expect(Math.abs((sessions[0]?.createTime?.getTime() ?? 0) - Date.now())).toBeLessThan(60_000);
    const refreshed = await service.auth.refreshToken({ refreshToken: tokens.refreshToken });
    expect(await service.auth.introspectToken({ accessToken: refreshed.tokens?.accessToken ?? '' })).toMatchObject({ active: true });
    const { events } = await service.audit.listAuditEvents({ filter: { userId: user.id, type: '' } });
    expect(events.map(({ type }) => type).sort()).toEqual(['user.created', 'user.email_verification_requested', 'user.login']);
    const { document } = await service.users.exportUser({ userId: user.id });
    expect(document).toMatchObject({ user: { created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/) } });
  });

  it('a conflict is decided as elsewhere', async () => {
    const email = newEmail();
    const outcomes = await Promise.allSettled([1, 2, 3].map(() => service.auth.register({ email, password: PASSWORD })));
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    const user = await register(service);
    const renames = await Promise.allSettled(
      [1, 2, 3, 4, 5, 6].map((n) => service.users.updateUser({ user: { id: user.id, profile: { firstName: `Ada ${n}` } } })),
    );
    expect(renames.map(({ status }) => status)).toEqual(Array(6).fill('fulfilled'));
    await expectStatus(service.auth.login({ email, password: 'not the password' }), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
  });
});
