import { generateKeyPairSync, type KeyObject, randomUUID, sign } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { decodeAccessToken, type Forgery, forge, signText } from '../../support/access-tokens.ts';
import { atOnce, logIn, PASSWORD, required, signedIn } from '../../support/builders.ts';
import { expectInvalid, expectStatus } from '../../support/expect-status.ts';
import { roleWith } from '../../support/grants.ts';
import { startService, type TestService, useService } from '../../support/service.ts';
import { isActive, refresh } from '../../support/sessions.ts';
import { statementsOf, untilCallerIsKnown } from '../../support/statements.ts';

const service = useService();

const introspect = (accessToken: string) => service.auth.introspectToken({ accessToken });

const epochSeconds = () => Math.floor(service.clock.now().getTime() / 1000);

describe('IntrospectToken', () => {
  it('tells what a good token says', async () => {
    const { user, tokens } = await signedIn(service);
    service.clock.advance(100);
    const before = epochSeconds();
    const { active, claims } = await introspect(tokens.accessToken);
    const { jti, exp, auth_time: authTime, client_id: clientId } = decodeAccessToken(tokens.accessToken).claims;
    expect(active).toBe(true);
    expect(claims).toEqual({
      sub: user.id,
      email: user.email,
      emailVerified: false,
      amr: ['pwd'],
      authTime,
      clientId,
      sid: tokens.sessionId,
      jti,
      iss: 'identity',
      aud: ['identity'],
      roles: [],
      permissions: [],
      expiresIn: expect.any(Number),
    });
    expect(claims?.expiresIn).toBeLessThanOrEqual(Number(exp) - before);
    expect(claims?.expiresIn).toBeGreaterThanOrEqual(Number(exp) - epochSeconds());
  });

  it('requires a token', () => expectInvalid(introspect(''), ['access_token']));

  it('refuses a token that exceeds the size of a message', () =>
    expectStatus(introspect('x'.repeat(300_000)), 'INVALID_ARGUMENT', 'MESSAGE_TOO_LARGE'));

  describe('is inactive, without an error and without claims, for', () => {
    let good: string;
    let parts: [string, string, string];

    beforeAll(async () => {
      good = (await signedIn(service)).tokens.accessToken;
      parts = good.split('.') as typeof parts;
      // What makes the tables below mean something: a forgery that changes nothing is active.
      expect(await isActive(service, forge(good))).toBe(true);
    });

    const expectInactive = async (token: string) => expect(await introspect(token)).toEqual({ active: false, claims: undefined });

    it.each<[string, () => string]>([
      ['a letter', () => 'a'],
      ['a blank', () => ' '],
      ['dots', () => '..'],
      ['too many dots', () => '....'],
      ['three letters', () => 'a.b.c'],
      ['other alphabets', () => 'ж.ж.ж'],
      ['control characters', () => 'a\u0000\n.b.c'],
      ['a token of another kind', () => Buffer.alloc(32, 1).toString('base64url')],
      ['very much text', () => 'x'.repeat(200_000)],
      ['very much text in three parts', () => ['e30', 'x'.repeat(200_000), 'x'].join('.')],
      ['two of its parts', () => parts.slice(0, 2).join('.')],
      ['a part too many', () => `${good}.${parts[2]}`],
      ['"Bearer" before it', () => `Bearer ${good}`],
      ['a blank before it', () => ` ${good}`],
      ['a line break behind it', () => `${good}\n`],
      ['padding', () => `${good}=`],
      ['an empty signature', () => `${parts[0]}.${parts[1]}.`],
      ['a header that is no JSON', () => signText('{', '{}')],
      ['a header that is null', () => signText('null', '{}')],
      ['an empty header', () => signText('{}', '{}')],
      ['a payload that is no JSON', () => signText('{"alg":"HS256","typ":"at+jwt"}', '{')],
      ['a payload that is null', () => signText('{"alg":"HS256","typ":"at+jwt"}', 'null')],
      ['a payload that is a list', () => signText('{"alg":"HS256","typ":"at+jwt"}', '[]')],
      ['a payload that is text', () => signText('{"alg":"HS256","typ":"at+jwt"}', '"text"')],
    ])('malformed: %s', (_, token) => expectInactive(token()));

    it.each<[string, () => string]>([
      ['another secret', () => forge(good, { secret: 'another secret key that has 32+ bytes too' })],
      ['no secret', () => forge(good, { secret: '' })],
      ['a signature cut short', () => good.slice(0, -1)],
      ['a signature with a changed letter', () => good.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A'))],
      [
        'the signature of another token',
        () => [parts[0], parts[1], forge(good, { claims: { jti: randomUUID() } }).split('.')[2]].join('.'),
      ],
      ['claims changed after signing', () => [parts[0], base64({ ...claimsOf(good), email: 'x@y.z' }), parts[2]].join('.')],
      ['a header changed after signing', () => [base64({ ...headerOf(good), x: 1 }), parts[1], parts[2]].join('.')],
    ])('a wrong signature: %s', (_, token) => expectInactive(token()));

    it.each<[string, () => string]>([
      ['none, unsigned', () => `${base64({ ...headerOf(good), alg: 'none' })}.${parts[1]}.`],
      ['None, unsigned', () => `${base64({ ...headerOf(good), alg: 'None' })}.${parts[1]}.`],
      ['none, signed all the same', () => forge(good, { header: { alg: 'none' } })],
      ['HS384 with the secret', () => forge(good, { header: { alg: 'HS384' }, hash: 'sha384' })],
      ['HS512 with the secret', () => forge(good, { header: { alg: 'HS512' }, hash: 'sha512' })],
      ['RS256, signed with the secret', () => forge(good, { header: { alg: 'RS256' } })],
      ['RS256 with a key of its own', () => withKey('RS256', generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey)],
      ['ES256 with a key of its own', () => withKey('ES256', generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey)],
      ['hs256', () => forge(good, { header: { alg: 'hs256' } })],
      ['a list', () => forge(good, { header: { alg: ['HS256'] } })],
      ['missing', () => forge(good, { header: { alg: undefined } })],
    ])('another algorithm: %s', (_, token) => expectInactive(token()));

    it.each<[string, Forgery]>([
      ['the type JWT', { header: { typ: 'JWT' } }],
      ['no type', { header: { typ: undefined } }],
      ['the type of an ID token', { header: { typ: 'id_token+jwt' } }],
      ['a type that is no text', { header: { typ: ['at+jwt'] } }],
      ['a critical extension that nobody knows (RFC 7515 §4.1.11)', { header: { crit: ['exp2'], exp2: 1 } }],
      ['another issuer', { claims: { iss: 'somebody' } }],
      ['an issuer in another case', { claims: { iss: 'Identity' } }],
      ['a list of issuers', { claims: { iss: ['identity'] } }],
      ['another audience', { claims: { aud: ['shop'] } }],
      ['another audience as text', { claims: { aud: 'shop' } }],
      ['no audience', { claims: { aud: [] } }],
      ['an audience that is no text', { claims: { aud: ['identity', 1] } }],
      ['an expiry that is text', { claims: { exp: '9999999999' } }],
      ['an expiry that is null', { claims: { exp: null } }],
      ['a fractional expiry', { claims: { exp: 9_999_999_999.5 } }],
      ['an expiry beyond all numbers', { claims: { exp: 1e300 } }],
      ['an expiry before 1970', { claims: { exp: -1 } }],
      ['an issue time that is text', { claims: { iat: 'now' } }],
      ['a start in the future', { claims: { nbf: 9_999_999_999 } }],
      ['a start that is text', { claims: { nbf: '0' } }],
      ['a session that is no UUID', { claims: { sid: 'session' } }],
      ['a session that is a number', { claims: { sid: 1 } }],
      ['a session that is an object', { claims: { sid: { $ne: null } } }],
      ['a session with a NUL', { claims: { sid: '\u0000' } }],
      ['a session that does not exist', { claims: { sid: randomUUID() } }],
      ['a user that is no UUID', { claims: { sub: 'user' } }],
      ['a user that does not exist', { claims: { sub: randomUUID() } }],
      ['an id that is no UUID', { claims: { jti: 'id' } }],
      ['a list of methods that is text', { claims: { amr: 'pwd' } }],
      ['a time of sign-in that is text', { claims: { auth_time: 'now' } }],
      ['a client that is no text', { claims: { client_id: 1 } }],
      ['an email that is no text', { claims: { email: { $ne: null } } }],
      ...['sub', 'email', 'sid', 'jti', 'iss', 'aud', 'exp', 'iat', 'amr', 'auth_time'].map((claim): [string, Forgery] => [
        `no ${claim}`,
        { claims: { [claim]: undefined } },
      ]),
    ])('%s', (_, forgery) => expectInactive(forge(good, forgery)));

    it('the session of another user', async () => {
      const { user, tokens } = await signedIn(service);
      await expectInactive(forge(good, { claims: { sid: tokens.sessionId } }));
      await expectInactive(forge(good, { claims: { sub: user.id } }));
    });

    const withKey = (alg: string, key: KeyObject) => {
      const input = `${base64({ ...headerOf(good), alg })}.${parts[1]}`;
      return `${input}.${sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
    };
  });

  it('takes a token whose issuer was a little ahead of time', async () => {
    const { tokens } = await signedIn(service);
    expect(await isActive(service, forge(tokens.accessToken, { claims: { iat: epochSeconds() + 5 } }))).toBe(true);
  });

  it('takes a token for several audiences, one of which is ours', async () => {
    const { tokens } = await signedIn(service);
    const { claims } = await introspect(forge(tokens.accessToken, { claims: { aud: ['shop', 'identity'] } }));
    expect(claims?.aud).toEqual(['shop', 'identity']);
  });

  it('is inactive from the second in which the token expires', async () => {
    const { tokens } = await signedIn(service);
    service.clock.advance(tokens.expiresIn - 10);
    expect(await isActive(service, tokens.accessToken)).toBe(true);
    expect(await isActive(service, forge(tokens.accessToken, { claims: { exp: epochSeconds() } }))).toBe(false);
    service.clock.advance(10);
    expect(await isActive(service, tokens.accessToken)).toBe(false);
  });

  type End = (service: TestService, ids: { userId: string; sessionId: string; refreshToken: string }) => Promise<unknown>;

  it.each<[string, End]>([
    ['RevokeSession', ({ sessions }, { sessionId }) => sessions.revokeSession({ sessionId })],
    ['RevokeAllSessions', ({ sessions }, { userId }) => sessions.revokeAllSessions({ userId })],
    ['Logout', ({ auth }, { refreshToken }) => auth.logout({ refreshToken })],
    ['DeactivateUser', ({ users }, { userId }) => users.deactivateUser({ userId })],
    ['DeleteUser', ({ users }, { userId }) => users.deleteUser({ userId })],
    [
      'ChangePassword',
      ({ auth }, { userId }) => auth.changePassword({ userId, currentPassword: PASSWORD, newPassword: 'another password' }),
    ],
  ])('is inactive at once after %s', async (_, end) => {
    const { user, tokens } = await signedIn(service);
    expect(await isActive(service, tokens.accessToken)).toBe(true);
    await end(service, { userId: user.id, sessionId: tokens.sessionId, refreshToken: tokens.refreshToken });
    expect(await isActive(service, tokens.accessToken)).toBe(false);
  });

  it('stays inactive after a reactivation; a new login is active', async () => {
    const { user, tokens } = await signedIn(service);
    await service.users.deactivateUser({ userId: user.id });
    await service.users.reactivateUser({ userId: user.id });
    expect(await isActive(service, tokens.accessToken)).toBe(false);
    expect(await isActive(service, (await logIn(service, user.email)).accessToken)).toBe(true);
  });

  it('is inactive when the session expires before the token', async () => {
    const shortSessions = await startService({ REFRESH_TOKEN_TTL: '60' });
    try {
      const { tokens } = await signedIn(shortSessions);
      shortSessions.clock.advance(50);
      expect(await isActive(shortSessions, tokens.accessToken)).toBe(true);
      shortSessions.clock.advance(10);
      expect(await isActive(shortSessions, tokens.accessToken)).toBe(false);
    } finally {
      await shortSessions.stop();
    }
  });

  it('is inactive for a user who was deactivated behind the service', async () => {
    const { user, tokens } = await signedIn(service);
    await service.database.pool.query('update users set is_active = false where id = $1', [user.id]);
    expect(await isActive(service, tokens.accessToken)).toBe(false);
  });
});

describe('what IntrospectToken asks the database', () => {
  /** Beside the rate limits. */
  const askedWhile = async (run: () => Promise<unknown>) => {
    await untilCallerIsKnown(service);
    return (await statementsOf(run)).filter((statement) => statement !== 'rate-limits.count');
  };
  const LOOK_UP = 'callers.find-live-sessions';

  it('is one statement for a token that is new to it, and none from then on', async () => {
    const { tokens } = await signedIn(service);
    expect(await askedWhile(() => introspect(tokens.accessToken))).toEqual([LOOK_UP]);
    // Asked anew on a busy machine, where the service does not hear of changes in time, but not with every call.
    await expect.poll(() => askedWhile(() => introspect(tokens.accessToken))).toEqual([]);
  });

  it('is one statement for many tokens at the same time', async () => {
    const accessTokens = (await Promise.all(Array.from({ length: 40 }, () => signedIn(service)))).map(({ tokens }) => tokens.accessToken);
    const statements = await askedWhile(async () => {
      const answers = await Promise.all(accessTokens.map(introspect));
      expect(answers.map(({ claims }) => claims?.sub)).toEqual(accessTokens.map((token) => decodeAccessToken(token).claims.sub));
    });
    expect(new Set(statements)).toEqual(new Set([LOOK_UP]));
    // They do not all arrive in the same moment.
    expect(statements.length).toBeLessThanOrEqual(10);
  });
});

describe('the roles of a user', () => {
  /** Roles and permissions as they are introspected; replicas learn of a change within 250 ms. */
  const rightsOf = async (accessToken: string) => {
    const { claims } = await introspect(accessToken);
    return { roles: claims?.roles, permissions: claims?.permissions };
  };
  const untilRightsAre = (accessToken: string, roles: string[], permissions: string[]) =>
    expect.poll(() => rightsOf(accessToken)).toEqual({ roles, permissions });
  const rolesOf = async (userId: string) => (await service.users.getUser({ userId })).user?.roles;
  const rolesIn = (token: string) => claimsOf(token).roles;

  it('appear in User, in the next access token and, with their permissions, at introspection, until they are taken away', async () => {
    const { user, tokens } = await signedIn(service);
    const made = [await roleWith(service, ['b.write', 'a.read']), await roleWith(service, ['a.read', 'c.read'])];
    const [one = '', two = ''] = made.sort();
    expect(rolesIn(tokens.accessToken)).toEqual([]);
    await untilRightsAre(tokens.accessToken, [], []);

    for (const role of [two, one]) await service.roles.assignRole({ role, userId: user.id });
    expect(await rolesOf(user.id)).toEqual([one, two]);
    // Each permission once, however many roles have it.
    await untilRightsAre(tokens.accessToken, [one, two], ['a.read', 'b.write', 'c.read']);
    const refreshed = await refresh(service, tokens.refreshToken);
    for (const { accessToken } of [refreshed, await logIn(service, user.email)]) {
      expect(rolesIn(accessToken)).toEqual([one, two]);
    }

    for (const role of [one, two]) await service.roles.unassignRole({ role, userId: user.id });
    expect(await rolesOf(user.id)).toEqual([]);
    // Also for a token that still names them.
    await untilRightsAre(refreshed.accessToken, [], []);
    for (const { accessToken } of [await refresh(service, refreshed.refreshToken), await logIn(service, user.email)]) {
      expect(rolesIn(accessToken)).toEqual([]);
    }
  });

  it('go with the role itself', async () => {
    const { user, tokens } = await signedIn(service);
    const role = await roleWith(service, ['a.read']);
    await service.roles.assignRole({ role, userId: user.id });
    await untilRightsAre(tokens.accessToken, [role], ['a.read']);
    await service.roles.deleteRole({ name: role });
    expect(await rolesOf(user.id)).toEqual([]);
    await untilRightsAre(tokens.accessToken, [], []);
  });

  it('are what they are, and not what a token says', async () => {
    const { tokens } = await signedIn(service);
    const token = forge(tokens.accessToken, { claims: { roles: ['admin'] } });
    await untilRightsAre(token, [], []);
    await expectStatus(service.roles.listRoles({}, { token }), 'PERMISSION_DENIED', 'PERMISSION_DENIED');
  });

  it('are of the user alone', async () => {
    const [{ user }, other] = [await signedIn(service), await signedIn(service)];
    await service.roles.assignRole({ role: 'admin', userId: user.id });
    expect(await rolesOf(other.user.id)).toEqual([]);
    expect(await rightsOf(other.tokens.accessToken)).toEqual({ roles: [], permissions: [] });
    expect(rolesIn((await refresh(service, other.tokens.refreshToken)).accessToken)).toEqual([]);
  });
});

describe('IntrospectToken notes activity', () => {
  const watched = useService();

  /** Counts every update of a row of users and sessions, however small. */
  beforeAll(async () => {
    await watched.database.pool.query(`
      create table writes ("table" text not null, id uuid not null);
      create function note_write() returns trigger language plpgsql as
        $$ begin insert into writes values (tg_table_name, new.id); return null; end $$;
      create trigger note_write after update on users for each row execute function note_write();
      create trigger note_write after update on sessions for each row execute function note_write();
    `);
  });

  /** Signed in, with no write counted yet. */
  async function signedInUnwritten() {
    const { user, tokens } = await signedIn(watched);
    await watched.database.pool.query('truncate writes');
    return { user, tokens };
  }

  async function writes(): Promise<Record<string, number>> {
    const { rows } = await watched.database.pool.query<{ table: string; count: number }>(
      'select "table", count(*)::int as count from writes group by "table"',
    );
    return Object.fromEntries(rows.map(({ table, count }) => [table, count]));
  }

  async function activityOf(sessionId: string) {
    const { rows } = await watched.database.pool.query<{ user: Date; session: Date }>(
      'select u.last_login_at as user, s.last_active_at as session from sessions s join users u on u.id = s.user_id where s.id = $1',
      [sessionId],
    );
    return required(rows[0]);
  }

  it('never within a minute', async () => {
    const { tokens } = await signedInUnwritten();
    for (let time = 1; time <= 5; time++) {
      watched.clock.advance(5);
      await Promise.all([1, 2, 3, 4].map(() => isActive(watched, tokens.accessToken)));
    }
    expect(await writes()).toEqual({});
  });

  it('once after a minute, for the user and for the session', async () => {
    const { tokens } = await signedInUnwritten();
    for (let minute = 1; minute <= 3; minute++) {
      watched.clock.advance(61);
      const before = watched.clock.now();
      for (let time = 1; time <= 3; time++) await isActive(watched, tokens.accessToken);
      await expect.poll(writes).toEqual({ users: minute, sessions: minute });
      const { user, session } = await activityOf(tokens.sessionId);
      expect(user.getTime()).toBeGreaterThanOrEqual(before.getTime());
      expect(session).toEqual(user);
    }
  });

  it('once, however many calls there are at once', async () => {
    const { tokens } = await signedInUnwritten();
    watched.clock.advance(61);
    const results = await atOnce(50, () => isActive(watched, tokens.accessToken));
    expect(results).toEqual(results.map(() => ({ status: 'fulfilled', value: true })));
    await expect.poll(writes).toEqual({ users: 1, sessions: 1 });
  });

  it('once for the user, and once for each of their sessions', async () => {
    const { user, tokens } = await signedInUnwritten();
    const other = await logIn(watched, user.email);
    watched.clock.advance(61);
    await watched.database.pool.query('truncate writes');
    for (const { accessToken } of [tokens, other, tokens, other]) await isActive(watched, accessToken);
    await expect.poll(writes).toEqual({ users: 1, sessions: 2 });
  });

  it('not for a token that is not active', async () => {
    const { tokens } = await signedInUnwritten();
    await refresh(watched, tokens.refreshToken);
    await watched.sessions.revokeSession({ sessionId: tokens.sessionId });
    await watched.database.pool.query('truncate writes');
    watched.clock.advance(61);
    expect(await isActive(watched, tokens.accessToken)).toBe(false);
    expect(await writes()).toEqual({});
  });
});

const base64 = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
const headerOf = (token: string) => decodeAccessToken(token).header;
const claimsOf = (token: string) => decodeAccessToken(token).claims;
