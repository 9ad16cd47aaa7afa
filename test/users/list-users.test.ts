import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ListUsersResponse } from '../../src/gen/identity/v1/user_service.ts';
import { signedIn } from '../support/builders.ts';
import { expectInvalid, expectStatus } from '../support/expect-status.ts';
import { keyOf, programWith, roleWith } from '../support/grants.ts';
import { rows } from '../support/rows.ts';
import { startService, type TestService, useService } from '../support/service.ts';
import { statementsOf, untilCallerIsKnown } from '../support/statements.ts';

const service = useService();

type Request = Parameters<typeof service.users.listUsers>[0];

const list = (request: Request = {}): Promise<ListUsersResponse> => service.users.listUsers(request);

/** All pages; `between` runs after each of them. */
async function walk(request: Request, between: (page: ListUsersResponse) => Promise<void> = async () => undefined): Promise<string[]> {
  const ids: string[] = [];
  for (let pageToken = ''; ; ) {
    const page = await list({ ...request, pageToken });
    ids.push(...page.users.map(({ id }) => id));
    expect(page.users.length).toBeLessThanOrEqual(request.pageSize ?? 50);
    if (page.nextPageToken === '') return ids;
    await between(page);
    pageToken = page.nextPageToken;
  }
}

interface Person {
  readonly domain: string;
  readonly email?: string;
  readonly username?: string | null;
  readonly full_name?: string;
  readonly created_at?: string;
  readonly is_active?: boolean;
  readonly email_verified_at?: string | null;
  readonly locked_until?: string | null;
}

/** By SQL, because no call can set these. */
async function insert(person: Person): Promise<string> {
  const id = randomUUID();
  const { domain, full_name = '', email = `${id}@${domain}`, ...columns } = person;
  const names = ['id', 'email', ...Object.keys(columns)];
  const values = [id, email, ...Object.values(columns)];
  await rows(service, `insert into users (${names}) values (${values.map((_, index) => `$${index + 1}`)})`, values);
  await rows(service, 'insert into profiles (user_id, full_name) values ($1, $2)', [id, full_name]);
  return id;
}

/** Every test has people of its own, told by the domain of their emails. */
const newDomain = () => `${randomUUID()}.example`;

const YEARS = ['2001-01-01Z', '2002-02-02Z', '2003-03-03Z'];

/** Few different keys, so that many are equal. */
function somebody(domain: string, index: number): Person {
  return {
    domain,
    email: `${index % 10}${randomUUID()}@${domain}`,
    username: index % 3 === 0 ? null : `u${index % 10}${randomUUID()}`,
    full_name: index % 4 === 0 ? '' : `Name ${index % 3}`,
    created_at: YEARS[index % 3],
  };
}

const KEYS = { creation: 'created_at', email: 'email', username: `coalesce(username, '')`, full_name: 'full_name' };
const ORDERS = Object.keys(KEYS).flatMap((key) => [`${key} asc`, `${key} desc`]) as `${keyof typeof KEYS} ${'asc' | 'desc'}`[];

/** The place of each user in an order; equal keys share one. */
async function ranks(domain: string, order: (typeof ORDERS)[number]): Promise<Map<string, number>> {
  const [by, direction] = order.split(' ') as [keyof typeof KEYS, string];
  const ranked = await rows<{ id: string; rank: string }>(
    service,
    `select id, rank() over (order by ${KEYS[by]} ${direction}) as rank from users join profiles on user_id = id where email like $1`,
    [`%@${domain}`],
  );
  return new Map(ranked.map(({ id, rank }) => [id, Number(rank)]));
}

async function expectSorted(ids: string[], domain: string, order: (typeof ORDERS)[number]): Promise<void> {
  const places = await ranks(domain, order);
  const found = ids.map((id) => places.get(id) ?? Number.NaN);
  expect(found).toEqual([...found].sort((a, b) => a - b));
}

describe('ListUsers', () => {
  describe('pages', () => {
    it('have 50 users where no size is given, and 1,000 at most', async () => {
      const domain = newDomain();
      const inserted = `insert into users (email) select gen_random_uuid() || '@${domain}' from generate_series(1, 1003) returning id`;
      await rows(service, `with inserted as (${inserted}) insert into profiles (user_id) select id from inserted`);
      const filter = { query: domain };
      expect((await list({ filter })).users).toHaveLength(50);
      expect((await list({ filter, pageSize: 1000 })).users).toHaveLength(1000);
      for (const pageSize of [1001, 2_147_483_647]) expect((await list({ filter, pageSize })).users).toHaveLength(1000);
      expect(new Set(await walk({ filter, pageSize: 1000 })).size).toBe(1003);
    });

    it('of a negative size are refused', async () => {
      await expectInvalid(list({ pageSize: -1 }), ['page_size']);
    });

    it('end without a token, also where the last one is full', async () => {
      const domain = newDomain();
      expect(await list({ filter: { query: domain } })).toEqual({ users: [], nextPageToken: '' });
      for (let index = 0; index < 4; index++) await insert({ domain });
      const first = await list({ filter: { query: domain }, pageSize: 2 });
      const second = await list({ filter: { query: domain }, pageSize: 2, pageToken: first.nextPageToken });
      expect([first.users.length, second.users.length, second.nextPageToken]).toEqual([2, 2, '']);
    });

    it('hold whole users', async () => {
      const domain = newDomain();
      const { user } = await service.users.createUser({ email: `a@${domain}`, profile: { firstName: 'Ada', bio: 'Countess' } });
      expect((await list({ filter: { query: domain } })).users).toEqual([user]);
    });

    it('of 100 users with profiles and roles take at most 3 statements', async () => {
      const domain = newDomain();
      const inserted = `insert into users (email) select gen_random_uuid() || '@${domain}' from generate_series(1, 101) returning id`;
      await rows(
        service,
        `with inserted as (${inserted}), named as (insert into profiles (user_id, first_name) select id, 'Ada' from inserted)
         insert into user_roles select inserted.id, roles.id from inserted, roles where name in ('reader', 'service')`,
      );
      for (const orderBy of Object.keys(KEYS)) {
        const request = { filter: { query: domain, role: 'reader' }, orderBy, pageSize: 100 };
        await untilCallerIsKnown(service);
        const statements = await statementsOf(async () => {
          const { users, nextPageToken } = await list(request);
          expect(users).toHaveLength(100);
          expect(nextPageToken).not.toBe('');
          for (const user of users) expect(user).toMatchObject({ roles: ['reader', 'service'], profile: { firstName: 'Ada' } });
        });
        expect(statements.length).toBeGreaterThan(0);
        expect(statements.length).toBeLessThanOrEqual(3);
      }
    });

    it('may change in size on the way', async () => {
      const domain = newDomain();
      for (let index = 0; index < 5; index++) await insert({ domain });
      const filter = { query: domain };
      const first = await list({ filter, pageSize: 1 });
      const rest = await list({ filter, pageSize: 10, pageToken: first.nextPageToken });
      expect(new Set([...first.users, ...rest.users].map(({ id }) => id)).size).toBe(5);
    });
  });

  describe('order', () => {
    it.each([
      ['', 'creation desc'],
      [' ', 'creation desc'],
      ['creation', 'creation desc'],
      ['email', 'email asc'],
      ['username', 'username asc'],
      ['full_name', 'full_name asc'],
      [' email   desc ', 'email desc'],
    ] as const)('%j is %s', async (orderBy, meant) => {
      const domain = newDomain();
      for (let index = 0; index < 8; index++) await insert(somebody(domain, index));
      const ids = await walk({ filter: { query: domain }, orderBy });
      expect(ids).toHaveLength(8);
      await expectSorted(ids, domain, meant);
    });

    it.each([
      'created_at',
      'last_login_at',
      'id',
      'EMAIL',
      'email up',
      'email asc, username',
      'email asc desc',
      '-email',
      'email\u0000',
      "'",
    ])('cannot be %j', async (orderBy) => {
      await expectInvalid(list({ orderBy }), ['order_by']);
    });

    it.each(ORDERS.flatMap((order) => [1, 2, 7].map((pageSize) => [order, pageSize] as const)))(
      '%s, by pages of %i, neither repeats nor leaves out anybody while others come and go',
      async (orderBy, pageSize) => {
        const domain = newDomain();
        const [stayers, leavers]: [string[], string[]] = [[], []];
        for (let index = 0; index < 12; index++) stayers.push(await insert(somebody(domain, index)));
        for (let index = 0; index < 6; index++) leavers.push(await insert(somebody(domain, index)));
        let arrivals = 0;
        const seen = await walk({ filter: { query: domain }, orderBy, pageSize }, async ({ users }) => {
          if (arrivals < 12) await insert(somebody(domain, arrivals++));
          // Above all the one where the next page goes on.
          const leaver = leavers.find((id) => id === users.at(-1)?.id) ?? leavers.pop();
          await rows(service, 'delete from users where id = $1', [leaver]);
        });
        expect(seen.filter((id) => stayers.includes(id)).sort()).toEqual([...stayers].sort());
        expect(new Set(seen).size).toBe(seen.length);
        await expectSorted(
          seen.filter((id) => stayers.includes(id)),
          domain,
          orderBy,
        );
      },
    );
  });

  it.each(['email', 'full_name'])('goes on after a %s with any characters', async (orderBy) => {
    const domain = newDomain();
    const keys = ['?', '??', '%', '_', '\\', "'", '"', '$1', ':x', '💥', 'İ'.toLowerCase(), '\\?'];
    const ids = [];
    for (const key of keys) ids.push(await insert({ domain, email: `${key}@${domain}`, full_name: key }));
    expect((await walk({ filter: { query: domain }, orderBy, pageSize: 1 })).sort()).toEqual(ids.sort());
  });

  describe('the page token', () => {
    const domain = newDomain();
    const filter = { query: domain };
    const request = { filter, orderBy: 'email', pageSize: 1 } as const;
    let token: string;
    let other: TestService;

    beforeAll(async () => {
      for (let index = 0; index < 3; index++) await insert(somebody(domain, index));
      token = (await list(request)).nextPageToken;
      other = await startService({}, service.database);
    });
    afterAll(() => other.stop());

    const refused = (changed: Request) => expectInvalid(list({ ...request, pageToken: token, ...changed }), ['page_token']);

    it('is good for its own list only', async () => {
      expect((await list({ ...request, pageToken: token })).users).toHaveLength(1);
      for (const orderBy of ['email desc', 'username', 'creation', '']) await refused({ orderBy });
      for (const changed of [
        { query: `@${domain}` },
        { query: '' },
        { ...filter, active: true },
        { ...filter, active: false },
        { ...filter, emailVerified: false },
        { ...filter, locked: false },
        { ...filter, role: 'admin' },
        {},
      ]) {
        await refused({ filter: changed });
      }
    });

    it('is good for its own caller only, with whichever key', async () => {
      const [own, thief] = [await programWith(service, ['identity.users.read']), await programWith(service, ['identity.users.read'])];
      const { nextPageToken: pageToken } = await service.users.listUsers(request, { token: own.key });
      const next = { ...request, pageToken };
      for (const stranger of [thief.key, service.adminKey]) {
        await expectInvalid(service.users.listUsers(next, { token: stranger }), ['page_token']);
      }
      for (const key of [own.key, await keyOf(service, { serviceAccountId: own.id })]) {
        expect((await service.users.listUsers(next, { token: key })).users).toHaveLength(1);
      }
    });

    it('of a service account is none for a user, nor for somebody who may not list at all', async () => {
      const next = { ...request, pageToken: token };
      const [reader, nobody] = [await signedIn(service), await signedIn(service)];
      await service.roles.assignRole({ role: 'reader', userId: reader.user.id });
      await expectInvalid(service.users.listUsers(next, { token: reader.tokens.accessToken }), ['page_token']);
      const refusedList = service.users.listUsers(next, { token: nobody.tokens.accessToken });
      await expectStatus(refusedList, 'PERMISSION_DENIED', 'PERMISSION_DENIED');
    });

    it('takes the same list, said in other words, for the same', async () => {
      const orderBy = ' email asc ';
      expect((await list({ filter: { ...filter, role: '' }, orderBy, pageToken: token })).users).toHaveLength(2);
      const { nextPageToken } = await list({ pageSize: 1 });
      expect((await list({ filter: {}, orderBy: 'creation desc', pageSize: 1, pageToken: nextPageToken })).users).toHaveLength(1);
    });

    it('is good at every replica', async () => {
      const request2 = { ...request, pageToken: token };
      expect(await other.users.listUsers(request2)).toMatchObject({ users: (await list(request2)).users });
    });

    it('is refused where it was tampered with, in any place', async () => {
      for (let index = 0; index < token.length; index++) {
        const changed = token[index] === 'A' ? 'B' : 'A';
        await refused({ pageToken: token.slice(0, index) + changed + token.slice(index + 1) });
      }
    });

    it('is refused where it is cut, or something was added', async () => {
      for (let length = 1; length < token.length; length++) await refused({ pageToken: token.slice(0, length) });
      for (const added of ['A', '=', ' ', '\n', '.', '*', '\u0000']) {
        await refused({ pageToken: token + added });
        await refused({ pageToken: added + token });
      }
    });

    it.each(['x', '0', ' ', '💥', 'e30', Buffer.from('["a","b"]').toString('base64url'), 'A'.repeat(100), 'A'.repeat(100_000)])(
      'is refused where it is made up: %.40j',
      async (pageToken) => {
        await refused({ pageToken });
      },
    );

    it('reveals nothing, and is another one every time', async () => {
      for (const orderBy of Object.keys(KEYS)) {
        const page = await list({ ...request, orderBy });
        const [user] = page.users;
        const readable = Buffer.from(page.nextPageToken, 'base64url').toString('latin1') + page.nextPageToken;
        for (const secret of [user?.id, user?.email.slice(0, 8), user?.username?.slice(0, 8), '200', 'Name', orderBy]) {
          if (secret) expect(readable).not.toContain(secret);
        }
        expect((await list({ ...request, orderBy })).nextPageToken).not.toBe(page.nextPageToken);
      }
    });
  });

  describe('the filter', () => {
    const idsOf = async (filter: NonNullable<Request['filter']>) => (await walk({ filter })).sort();

    it('finds a part of email, username or full name, in any case', async () => {
      const [word, domain] = [`w${randomUUID()}`, newDomain()];
      const ids = [
        await insert({ domain, email: `pre${word}post@${domain}` }),
        await insert({ domain, username: `x${word}` }),
        await insert({ domain, full_name: `Ada ${word.toUpperCase()} Lovelace` }),
      ].sort();
      await insert({ domain });
      for (const query of [word, word.toUpperCase(), ` ${word} `]) expect(await idsOf({ query })).toEqual(ids);
      expect(await idsOf({ query: `${word}x` })).toEqual([]);
    });

    it('goes by what a user is called now', async () => {
      const [before, after] = [randomUUID(), randomUUID()];
      const { user } = await service.users.createUser({ email: `${randomUUID()}@example.com`, username: before.slice(0, 30) });
      const id = user?.id ?? '';
      const change = (profile: { fullName: string }, username: string) =>
        service.users.updateUser({ user: { id, username, profile }, updateMask: ['username', 'profile.full_name'] });
      expect(await idsOf({ query: before.slice(0, 30) })).toEqual([id]);
      await change({ fullName: `Ada ${after}` }, 'renamed');
      expect(await idsOf({ query: before.slice(0, 30) })).toEqual([]);
      expect(await idsOf({ query: after })).toEqual([id]);
      await change({ fullName: '' }, after.slice(0, 30));
      expect(await idsOf({ query: `ada ${after}` })).toEqual([]);
      expect(await idsOf({ query: after.slice(0, 30) })).toEqual([id]);
    });

    it('finds nothing that is part of two of them', async () => {
      const [domain, username] = [newDomain(), `u${randomUUID()}`];
      await insert({ domain, username, full_name: 'Ada' });
      for (const query of [`${domain}${username}`, `${domain} ${username}`, `${username}ada`, `${username} ada`]) {
        expect(await idsOf({ query })).toEqual([]);
      }
    });

    it.each(['☃', '⛄x', 'ⅦX', 'Þð'])('finds %j, however short', async (query) => {
      const domain = newDomain();
      const id = await insert({ domain, full_name: `Ada ${query} Lovelace` });
      await insert({ domain, full_name: 'Ada Lovelace' });
      for (const spelling of [query, query.toLowerCase(), query.toUpperCase()]) expect(await idsOf({ query: spelling })).toEqual([id]);
    });

    it('finds letters of any script in any case', async () => {
      const [domain, word] = [newDomain(), randomUUID()];
      const id = await insert({ domain, full_name: `Zoë ÜÇ ${word}` });
      expect(await idsOf({ query: `zoË üç ${word}` })).toEqual([id]);
    });

    it.each(['%', '_', '\\', '?', "'", '"', '\\%', '%%', '_%', ':x', '$1', '\\\\', '[a]', '*'])('takes %j literally', async (special) => {
      const [domain, word] = [newDomain(), randomUUID()];
      const id = await insert({ domain, full_name: `${word}a${special}b` });
      await insert({ domain, full_name: `${word}axxb` });
      await insert({ domain, full_name: `${word}ab` });
      expect(await idsOf({ query: `${word}a${special}b` })).toEqual([id]);
      expect(await idsOf({ query: `${word}a${special}` })).toEqual([id]);
    });

    it('tells active and verified and locked users from others, and combines', async () => {
      const domain = newDomain();
      const flags = [true, false];
      const people: { id: string; active: boolean; emailVerified: boolean; locked: boolean }[] = [];
      for (const active of flags) {
        for (const emailVerified of flags) {
          for (const locked of flags) {
            const id = await insert({
              domain,
              is_active: active,
              email_verified_at: emailVerified ? '2001-01-01Z' : null,
              locked_until: locked ? '2999-01-01Z' : null,
            });
            people.push({ id, active, emailVerified, locked });
          }
        }
      }
      const choices = [undefined, ...flags];
      for (const active of choices) {
        for (const emailVerified of choices) {
          for (const locked of choices) {
            const expected = people.filter(
              (person) =>
                person.active === (active ?? person.active) &&
                person.emailVerified === (emailVerified ?? person.emailVerified) &&
                person.locked === (locked ?? person.locked),
            );
            const found = await idsOf({ query: domain, active, emailVerified, locked });
            expect(found).toEqual(expected.map(({ id }) => id).sort());
          }
        }
      }
    });

    it('takes a lock that has ended for none', async () => {
      const domain = newDomain();
      const soon = new Date(service.clock.now().getTime() + 60_000).toISOString();
      const id = await insert({ domain, locked_until: soon });
      expect(await idsOf({ query: domain, locked: true })).toEqual([id]);
      expect(await idsOf({ query: domain, locked: false })).toEqual([]);
      service.clock.advance(61);
      expect(await idsOf({ query: domain, locked: true })).toEqual([]);
      expect(await idsOf({ query: domain, locked: false })).toEqual([id]);
    });

    it('finds who has a role, while they have it', async () => {
      const [domain, role, other] = [newDomain(), await roleWith(service, ['a.read']), await roleWith(service, ['a.read'])];
      const [both, one] = [await insert({ domain }), await insert({ domain, is_active: false })];
      await insert({ domain });
      for (const userId of [both, one]) await service.roles.assignRole({ role, userId });
      await service.roles.assignRole({ role: other, userId: both });
      expect(await idsOf({ role })).toEqual([both, one].sort());
      expect(await idsOf({ role: other })).toEqual([both]);
      expect(await idsOf({ role, active: false })).toEqual([one]);
      await service.roles.unassignRole({ role, userId: both });
      expect(await idsOf({ role })).toEqual([one]);
      expect(await idsOf({ role: other })).toEqual([both]);
      expect(await idsOf({ role: role.slice(0, -1) })).toEqual([]);
    });

    it('finds nobody with a role that nobody has', async () => {
      const domain = newDomain();
      await insert({ domain });
      expect(await idsOf({ query: domain, role: 'admin' })).toEqual([]);
    });

    it('refuses what no user can have, naming all of it', async () => {
      const call = list({ filter: { query: 'q'.repeat(201), role: 'r\u0000' }, pageSize: -1, orderBy: 'x' });
      await expectInvalid(call, ['filter.query', 'filter.role', 'page_size', 'order_by']);
      await expectInvalid(list({ filter: { query: 'a\u0000b' } }), ['filter.query']);
      expect(await idsOf({ query: '😀'.repeat(200) })).toEqual([]);
    });
  });

  describe('among many users', () => {
    const MANY = 6000;
    const orders = Object.keys(KEYS).flatMap((key) => [`${key} asc`, `${key} desc`]);

    /** What `query` matches comes last in every order. */
    beforeAll(async () => {
      await rows(
        service,
        `with made as (
           insert into users (email, username, created_at)
           select case when n % 2 = 0 then 'a' else 'z' end || n || '@many.example', case when n % 2 = 0 then 'a' else 'z' end || '-many-' || n,
             timestamptz '2010-01-01Z' + n * interval '1 minute'
           from generate_series(1, $1::int) n returning id, email)
         insert into profiles (user_id, full_name) select id, left(email, 1) || ' Many ' || case when email like '%77@%' then 'Qzx' else '' end from made`,
        [MANY],
      );
      await rows(service, 'vacuum analyze users, profiles');
    });

    it.each(orders)('finds in order %s all that match, be they few or many, near or far', async (orderBy) => {
      for (const query of ['many.example', 'Qzx', 'a-many', 'z-many', 'z', '77', 'many-59']) {
        const found = await walk({ filter: { query }, orderBy, pageSize: 1000 });
        const expected = await rows<{ id: string }>(
          service,
          `select id from users join profiles on user_id = id where concat_ws(' ', email, username, lower(full_name)) like $1`,
          [`%${query.toLowerCase()}%`],
        );
        expect(found.toSorted()).toEqual(expected.map(({ id }) => id).sort());
        const [by = '', direction = ''] = orderBy.split(' ');
        const key = KEYS[by as keyof typeof KEYS];
        const sorted = await rows<{ id: string }>(
          service,
          `select id from users join profiles on user_id = id where id = any($1::uuid[]) order by ${key} ${direction}, id ${direction}`,
          [found],
        );
        expect(found).toEqual(sorted.map(({ id }) => id));
      }
    });

    it('asks the index for what is rare, instead of reading all users', async () => {
      const request = { filter: { query: 'qzx' }, pageSize: 3 };
      await untilCallerIsKnown(service);
      const statements = await statementsOf(() => list(request));
      const plans = await Promise.all(statements.map(async (sql) => planOf(String(sql))));
      expect(plans.join('\n')).toContain('users_search_text_idx');
      expect(plans.join('\n')).not.toContain('Seq Scan on users');
    });

    it('takes one statement for a page of what is common', async () => {
      await untilCallerIsKnown(service);
      const statements = await statementsOf(() => list({ filter: { query: 'many.example' }, orderBy: 'email desc', pageSize: 3 }));
      expect(statements).toHaveLength(1);
    });

    const planOf = async (sql: string) =>
      (await rows<{ 'QUERY PLAN': string }>(service, `explain ${sql}`)).map((row) => row['QUERY PLAN']).join('\n');
  });
});
