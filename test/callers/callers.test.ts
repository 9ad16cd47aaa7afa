import { randomUUID } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { hashApiKey } from '../../src/access/api-keys/api-key-format.ts';
import { GetCallerRequest } from '../../src/gen/identity/v1/auth_service.ts';
import { forge } from '../support/access-tokens.ts';
import { PASSWORD, register, required, signedIn } from '../support/builders.ts';
import { expectStatus, failureOf } from '../support/expect-status.ts';
import { keyOf, newName, programInRoles, programWith, roleWith } from '../support/grants.ts';
import { connectRaw, frame } from '../support/raw-http2.ts';
import { rows } from '../support/rows.ts';
import { useService } from '../support/service.ts';
import { PROMISED_MS, staleFor } from '../support/staleness.ts';

const service = useService();

/** A call that would leave a trace: a role by a new name. Expects that it is refused and leaves none. */
async function expectUnauthenticated(token: string | null): Promise<void> {
  const name = newName();
  await expectStatus(service.auth.getCaller({}, { token }), 'UNAUTHENTICATED', 'CALLER_UNAUTHENTICATED');
  await expectStatus(service.roles.createRole({ role: { name } }, { token }), 'UNAUTHENTICATED', 'CALLER_UNAUTHENTICATED');
  expect(await rows(service, 'select 1 from roles where name = $1', [name])).toEqual([]);
}

/** Every replica obeys within 250 ms; until then the key may still work. */
async function untilRefused(token: string): Promise<void> {
  const isServed = () =>
    service.auth.getCaller({}, { token }).then(
      () => true,
      () => false,
    );
  expect(await staleFor(isServed)).toBeLessThanOrEqual(PROMISED_MS);
  await expectUnauthenticated(token);
}

describe('GetCaller tells who calls, and what that permits', () => {
  test('a service account, by its key', async () => {
    const { id, name, key } = await programWith(service, ['invoices.approve', 'identity.users.read']);
    expect(await service.auth.getCaller({}, { token: key })).toEqual({
      user: undefined,
      serviceAccount: { serviceAccountId: id, name },
      permissions: ['identity.users.read', 'invoices.approve'],
    });
  });

  test('a service account without roles', async () => {
    const { key } = await programInRoles(service, []);
    expect((await service.auth.getCaller({}, { token: key })).permissions).toEqual([]);
  });

  test('a service account, by a key with scopes: only what is in them', async () => {
    const { id } = await programWith(service, ['a.read', 'a.write']);
    const key = await keyOf(service, { serviceAccountId: id }, ['a.read']);
    expect((await service.auth.getCaller({}, { token: key })).permissions).toEqual(['a.read']);
  });

  test('a user, by an access token', async () => {
    const { user, tokens } = await signedIn(service);
    await service.roles.assignRole({ userId: user.id, role: await roleWith(service, ['b.read']) });
    expect(await service.auth.getCaller({}, { token: tokens.accessToken })).toEqual({
      user: { userId: user.id, sessionId: tokens.sessionId },
      serviceAccount: undefined,
      permissions: ['b.read'],
    });
  });

  test('a user, by an API key of theirs: without a session', async () => {
    const user = await register(service);
    const key = await keyOf(service, { userId: user.id });
    expect(await service.auth.getCaller({}, { token: key })).toEqual({
      user: { userId: user.id, sessionId: undefined },
      serviceAccount: undefined,
      permissions: [],
    });
  });

  test('the scheme of the header is read in any case', async () => {
    const metadata = { authorization: `bEARER ${service.adminKey}` };
    expect((await service.auth.getCaller({}, { token: null, metadata })).permissions).toEqual(['*']);
  });
});

describe('credentials that are not good are refused, and nothing happens', () => {
  test('none at all', () => expectUnauthenticated(null));

  test.each([
    ['nothing', ''],
    ['the scheme alone', 'Bearer'],
    ['the scheme and a space', 'Bearer '],
    ['another scheme', `Basic ${Buffer.from('admin:admin').toString('base64')}`],
    ['no scheme', 'KEY'],
    ['something after the key', 'Bearer KEY x'],
    ['something before the key', 'Bearer x KEY'],
    ['two keys', 'Bearer KEY,KEY'],
    ['a quoted key', 'Bearer "KEY"'],
    ['garbage', 'Bearer ☠'],
    ['a long header', `Bearer ${'a'.repeat(4000)}`],
  ])('a header with %s', async (_, header) => {
    const raw = connectRaw(service.address);
    try {
      const authorization = Buffer.from(header.replaceAll('KEY', service.adminKey)).toString('latin1');
      const body = frame(GetCallerRequest.encode({}).finish());
      const outcome = await raw.call('/identity.v1.AuthService/GetCaller', body, { authorization });
      expect(outcome).toMatchObject({ code: 'UNAUTHENTICATED', reason: 'CALLER_UNAUTHENTICATED' });
    } finally {
      raw.close();
    }
  });

  test('a truncated key', () => expectUnauthenticated(service.adminKey.slice(0, -1)));

  test('a key with something added', () => expectUnauthenticated(`${service.adminKey}0`));

  test('a mistyped key', async () => {
    const other = service.adminKey[10] === 'A' ? 'B' : 'A';
    await expectUnauthenticated(service.adminKey.slice(0, 10) + other + service.adminKey.slice(11));
  });

  test('a key in other letters', () => expectUnauthenticated(service.adminKey.toUpperCase()));

  test('a key that nobody has, although its checksum is right', async () => {
    const key = withChecksum('idk_000000000000000000000000000000');
    await expectUnauthenticated(key);
  });

  test('a mistyped key is refused by its checksum, even where its hash is stored', async () => {
    const { id } = await programInRoles(service, ['admin']);
    const wrong = `${withChecksum('idk_111111111111111111111111111111').slice(0, -6)}000000`;
    await rows(
      service,
      `insert into api_keys (service_account_id, name, key_hash, hint, scopes, created_at) values ($1, 'x', $2, 'x', '{}', now())`,
      [id, hashApiKey(wrong)],
    );
    await expectUnauthenticated(wrong);
  });

  test('the stored hash of a key', () => expectUnauthenticated(hashApiKey(service.adminKey).toString('hex')));

  test('a revoked key', async () => {
    const { id, key } = await programInRoles(service, ['admin']);
    await service.auth.getCaller({}, { token: key });
    const [apiKey] = (await service.apiKeys.listApiKeys({ serviceAccountId: id })).apiKeys;
    await service.apiKeys.revokeApiKey({ apiKeyId: required(apiKey).id });
    await untilRefused(key);
  });

  test('an expired key, also one that is known from before', async () => {
    const { id } = await programInRoles(service, ['admin']);
    const { key } = await service.apiKeys.createApiKey({ serviceAccountId: id, name: 'short', ttl: { seconds: 60, nanos: 0 } });
    const unused = await service.apiKeys.createApiKey({ serviceAccountId: id, name: 'short', ttl: { seconds: 60, nanos: 0 } });
    service.clock.advance(50);
    await service.auth.getCaller({}, { token: key });
    service.clock.advance(10);
    await expectUnauthenticated(key);
    await expectUnauthenticated(unused.key);
  });

  test('a key of a deactivated user', async () => {
    const user = await register(service);
    const key = await keyOf(service, { userId: user.id });
    await service.auth.getCaller({}, { token: key });
    await service.users.deactivateUser({ userId: user.id });
    await untilRefused(key);
    await service.users.reactivateUser({ userId: user.id });
    expect((await service.auth.getCaller({}, { token: key })).user?.userId).toBe(user.id);
  });

  test('a key of an erased user', async () => {
    const user = await register(service);
    const key = await keyOf(service, { userId: user.id });
    await service.auth.getCaller({}, { token: key });
    await service.users.deleteUser({ userId: user.id });
    await untilRefused(key);
  });

  test('a key of a deleted service account', async () => {
    const { id, key } = await programInRoles(service, ['admin']);
    await service.auth.getCaller({}, { token: key });
    await service.serviceAccounts.deleteServiceAccount({ serviceAccountId: id });
    await untilRefused(key);
  });

  test('a key of a service account that an operator has switched off', async () => {
    const { id, key } = await programInRoles(service, ['admin']);
    await service.auth.getCaller({}, { token: key });
    await rows(service, 'update service_accounts set is_active = false where id = $1', [id]);
    await untilRefused(key);
  });

  test('an access token of a revoked session, at once', async () => {
    const { tokens } = await signedIn(service);
    await service.auth.getCaller({}, { token: tokens.accessToken });
    await service.sessions.revokeSession({ sessionId: tokens.sessionId });
    await expectUnauthenticated(tokens.accessToken);
  });

  test('an access token of a deactivated user, at once', async () => {
    const { user, tokens } = await signedIn(service);
    await service.auth.getCaller({}, { token: tokens.accessToken });
    await service.users.deactivateUser({ userId: user.id });
    await expectUnauthenticated(tokens.accessToken);
  });

  test('an access token of an erased user, at once', async () => {
    const { user, tokens } = await signedIn(service);
    await service.auth.getCaller({}, { token: tokens.accessToken });
    await service.users.deleteUser({ userId: user.id });
    await expectUnauthenticated(tokens.accessToken);
  });

  test('an expired access token', async () => {
    const { tokens } = await signedIn(service);
    service.clock.advance(tokens.expiresIn + 1);
    await expectUnauthenticated(tokens.accessToken);
  });

  test('an access token that another secret has signed, or that names another user', async () => {
    const { tokens } = await signedIn(service);
    const other = await register(service);
    await expectUnauthenticated(forge(tokens.accessToken, { secret: 'another secret key, also of 32 bytes' }));
    await expectUnauthenticated(forge(tokens.accessToken, { claims: { sub: other.id } }));
  });

  test('a refresh token', async () => {
    const { tokens } = await signedIn(service);
    await expectUnauthenticated(tokens.refreshToken);
  });
});

describe('a caller without the permission', () => {
  test('is told which one, and nothing happens', async () => {
    const { tokens } = await signedIn(service);
    const name = newName();
    const call = service.roles.createRole({ role: { name } }, { token: tokens.accessToken });
    const failure = await expectStatus(call, 'PERMISSION_DENIED', 'PERMISSION_DENIED');
    expect(failure.metadata).toMatchObject({ permission: 'identity.roles.write' });
    expect(await rows(service, 'select 1 from roles where name = $1', [name])).toEqual([]);
  });

  test('is refused before the request is looked at', async () => {
    const { key } = await programInRoles(service, []);
    const { tokens } = await signedIn(service);
    for (const token of [key, tokens.accessToken]) {
      await expectStatus(service.users.getUser({ userId: 'no uuid' }, { token }), 'PERMISSION_DENIED', 'PERMISSION_DENIED');
      await expectStatus(service.users.updateUser({}, { token }), 'PERMISSION_DENIED', 'PERMISSION_DENIED');
      await expectStatus(service.roles.createRole({}, { token }), 'PERMISSION_DENIED', 'PERMISSION_DENIED');
      await expectStatus(service.apiKeys.createApiKey({}, { token }), 'PERMISSION_DENIED', 'PERMISSION_DENIED');
    }
  });

  test('cannot tell an absent user from a foreign one', async () => {
    const { tokens } = await signedIn(service);
    const foreign = await register(service);
    const token = tokens.accessToken;
    const calls = (userId: string) => [
      service.users.getUser({ userId }, { token }),
      service.users.updateUser({ user: { id: userId } }, { token }),
      service.users.deleteUser({ userId }, { token }),
      service.sessions.listSessions({ userId }, { token }),
      service.sessions.revokeAllSessions({ userId }, { token }),
      service.auth.changePassword({ userId, currentPassword: PASSWORD, newPassword: 'another good passphrase' }, { token }),
      service.roles.checkPermission({ userId, permission: 'x' }, { token }),
      service.apiKeys.listApiKeys({ userId }, { token }),
      service.apiKeys.createApiKey({ userId, name: 'x' }, { token }),
    ];
    const [absent, present] = await Promise.all([refusals(calls(randomUUID())), refusals(calls(foreign.id))]);
    expect(present).toEqual(absent);
    expect(new Set(present.map(({ code }) => code))).toEqual(new Set(['PERMISSION_DENIED']));
  });

  test('cannot tell an absent session or key from a foreign one, and changes neither', async () => {
    const { tokens } = await signedIn(service);
    const foreign = await signedIn(service);
    const foreignKey = await service.apiKeys.createApiKey({ userId: foreign.user.id, name: 'theirs' });
    const programKey = await service.apiKeys.createApiKey({ serviceAccountId: (await programInRoles(service, [])).id, name: 'its' });
    const token = tokens.accessToken;
    const revokeSession = (sessionId: string) => refusals([service.sessions.revokeSession({ sessionId }, { token })]);
    const revokeKey = (apiKeyId: string) => refusals([service.apiKeys.revokeApiKey({ apiKeyId }, { token })]);
    expect(await revokeSession(foreign.tokens.sessionId)).toEqual(await revokeSession(randomUUID()));
    const absentKey = await revokeKey(randomUUID());
    expect(await revokeKey(required(foreignKey.apiKey).id)).toEqual(absentKey);
    expect(await revokeKey(required(programKey.apiKey).id)).toEqual(absentKey);
    expect(absentKey).toMatchObject([{ code: 'NOT_FOUND', reason: 'API_KEY_NOT_FOUND' }]);
    for (const good of [foreign.tokens.accessToken, foreignKey.key, programKey.key]) await service.auth.getCaller({}, { token: good });
  });

  test('who names themself and a service account at once gets nothing of the account', async () => {
    const { user, tokens } = await signedIn(service);
    const { id } = await programInRoles(service, ['admin']);
    const call = service.apiKeys.createApiKey({ userId: user.id, serviceAccountId: id, name: 'x' }, { token: tokens.accessToken });
    expect((await failureOf(call)).code).toMatch(/^(INVALID_ARGUMENT|PERMISSION_DENIED)$/);
    expect((await service.apiKeys.listApiKeys({ serviceAccountId: id })).apiKeys).toHaveLength(1);
  });

  test('a user is known by their id in any case', async () => {
    const { user, tokens } = await signedIn(service);
    const { user: found } = await service.users.getUser({ userId: user.id.toUpperCase() }, { token: tokens.accessToken });
    expect(found?.id).toBe(user.id);
  });

  test('a user with a role may do to others what the role permits, and no more', async () => {
    const { user, tokens } = await signedIn(service);
    const other = await register(service);
    await service.roles.assignRole({ userId: user.id, role: await roleWith(service, ['identity.users.read']) });
    const token = tokens.accessToken;
    expect((await service.users.getUser({ userId: other.id }, { token })).user?.id).toBe(other.id);
    await expectStatus(service.users.deactivateUser({ userId: other.id }, { token }), 'PERMISSION_DENIED', 'PERMISSION_DENIED');
  });
});

/** How calls fail, without what differs from call to call anyway. */
async function refusals(calls: Promise<unknown>[]) {
  const failures = await Promise.all(calls.map(failureOf));
  return failures.map(({ code, message, reason, metadata, fields }) => ({
    code,
    message,
    reason,
    permission: metadata.permission,
    fields,
  }));
}

/** As api_key_service.proto describes a key: CRC-32 in base 62 at its end. */
function withChecksum(text: string): string {
  const digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
  let rest = crc32(text);
  let checksum = '';
  for (let place = 0; place < 6; place++) {
    checksum = digits.charAt(rest % 62) + checksum;
    rest = Math.floor(rest / 62);
  }
  return text + checksum;
}
