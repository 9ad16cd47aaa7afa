import { createHash, randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { register, required, signedIn } from '../../support/builders.ts';
import { createDatabase } from '../../support/database.ts';
import { expectInvalid, expectStatus } from '../../support/expect-status.ts';
import { keyOf, programInRoles, programWith, roleWith } from '../../support/grants.ts';
import { everythingStored } from '../../support/passwords.ts';
import { rows } from '../../support/rows.ts';
import { startService, useService } from '../../support/service.ts';

const service = useService();

const HOUR = { seconds: 3600, nanos: 0 };

const eventsOf = (apiKeyId: string) =>
  rows(
    service,
    `select type, actor, user_id as "userId", metadata->>'service_account_id' as account from audit_events
     where metadata->>'api_key_id' = $1 order by occurred_at`,
    [apiKeyId],
  );

describe('CreateApiKey', () => {
  test('shows the key once: prefix, 178 random bits, checksum', async () => {
    const { id } = await programInRoles(service, []);
    const keys = await Promise.all(Array.from({ length: 20 }, () => keyOf(service, { serviceAccountId: id })));
    for (const key of keys) expect(key).toMatch(/^idk_[0-9A-Za-z]{36}$/);
    expect(new Set(keys.map((key) => key.slice(4, 14))).size).toBe(20);
    const listed = JSON.stringify(await service.apiKeys.listApiKeys({ serviceAccountId: id }));
    for (const key of keys) expect(listed).not.toContain(key.slice(10));
  });

  test('answers with what is stored', async () => {
    const { id } = await programWith(service, ['a.read', 'a.write']);
    const before = service.clock.now().getTime();
    const { apiKey, key } = await service.apiKeys.createApiKey({
      serviceAccountId: id,
      name: ' laptop ',
      scopes: ['a.write', 'a.read', 'a.write'],
      ttl: HOUR,
    });
    const { createTime, expireTime, ...rest } = required(apiKey);
    expect(rest).toEqual({
      id: expect.any(String),
      userId: undefined,
      serviceAccountId: id,
      name: 'laptop',
      scopes: ['a.read', 'a.write'],
      hint: key.slice(0, 10),
      lastUsedTime: undefined,
      revokeTime: undefined,
    });
    const created = required(createTime).getTime();
    expect(created).toBeGreaterThanOrEqual(before);
    expect(required(expireTime).getTime() - created).toBe(3_600_000);
    expect((await service.apiKeys.listApiKeys({ serviceAccountId: id })).apiKeys).toContainEqual(apiKey);
  });

  test('stores the SHA-256 of the key, and the key nowhere', async () => {
    const { id } = await programInRoles(service, []);
    const { apiKey, key } = await service.apiKeys.createApiKey({ serviceAccountId: id, name: 'x' });
    await service.auth.getCaller({}, { token: key });
    const [stored] = await rows<{ hash: Buffer }>(service, 'select key_hash as hash from api_keys where id = $1', [required(apiKey).id]);
    expect(stored?.hash).toEqual(createHash('sha256').update(key).digest());
    const everything = await everythingStored(service);
    expect(everything).toContain(key.slice(0, 10));
    expect(everything).not.toContain(key.slice(0, 11));
    expect(everything).not.toContain(key.slice(10));
  });

  test('is written down with owner and actor', async () => {
    const { user, tokens } = await signedIn(service);
    const own = await service.apiKeys.createApiKey({ userId: user.id, name: 'x' }, { token: tokens.accessToken });
    expect(await eventsOf(required(own.apiKey).id)).toEqual([
      { type: 'api_key.created', actor: `user:${user.id}`, userId: user.id, account: null },
    ]);
    const { id } = await programInRoles(service, []);
    const other = await service.apiKeys.createApiKey({ serviceAccountId: id, name: 'x' });
    expect(await eventsOf(required(other.apiKey).id)).toEqual([
      { type: 'api_key.created', actor: 'service_account:test-admin', userId: null, account: id },
    ]);
  });

  test('is refused for an owner that does not exist', async () => {
    const create = service.apiKeys.createApiKey;
    await expectStatus(create({ userId: randomUUID(), name: 'x' }), 'NOT_FOUND', 'USER_NOT_FOUND');
    await expectStatus(create({ serviceAccountId: randomUUID(), name: 'x' }), 'NOT_FOUND', 'SERVICE_ACCOUNT_NOT_FOUND');
  });

  test('checks every field', async () => {
    const { id: serviceAccountId } = await programInRoles(service, ['admin']);
    const create = service.apiKeys.createApiKey;
    await expectInvalid(create({ name: 'x' }), ['owner']);
    await expectInvalid(create({ userId: 'x', name: 'x' }), ['user_id']);
    for (const name of ['', ' ', 'a\nb', 'x'.repeat(101)]) await expectInvalid(create({ serviceAccountId, name }), ['name']);
    for (const seconds of [0, -1, 100 * 365 * 86_400 + 1]) {
      await expectInvalid(create({ serviceAccountId, name: 'x', ttl: { seconds, nanos: 0 } }), ['ttl']);
    }
    await expectInvalid(create({ serviceAccountId, name: 'x', scopes: ['a.read', 'A'] }), ['scopes[1]']);
    await expectInvalid(create({ serviceAccountId, name: 'x', scopes: Array.from({ length: 201 }, (_, i) => `p${i}`) }), ['scopes']);
    await create({ serviceAccountId, name: '😀'.repeat(100), ttl: { seconds: 1, nanos: 0 } });
    await create({ serviceAccountId, name: 'x', ttl: { seconds: 100 * 365 * 86_400, nanos: 0 } });
  });
});

describe('ListApiKeys', () => {
  test('has all keys of an owner, the newest first, revoked and expired ones too', async () => {
    const { user, tokens } = await signedIn(service);
    const ids: string[] = [];
    for (const name of ['first', 'second', 'third']) {
      const { apiKey } = await service.apiKeys.createApiKey({ userId: user.id, name, ttl: { seconds: 1, nanos: 0 } });
      ids.unshift(required(apiKey).id);
      service.clock.advance(2);
    }
    await service.apiKeys.revokeApiKey({ apiKeyId: ids[1] ?? '' });
    const { apiKeys } = await service.apiKeys.listApiKeys({ userId: user.id }, { token: tokens.accessToken });
    expect(apiKeys.map(({ id }) => id)).toEqual(ids);
    expect(apiKeys.map(({ revokeTime }) => revokeTime !== undefined)).toEqual([false, true, false]);
  });

  test('an owner that does not exist, and none', async () => {
    const list = service.apiKeys.listApiKeys;
    await expectStatus(list({ userId: randomUUID() }), 'NOT_FOUND', 'USER_NOT_FOUND');
    await expectStatus(list({ serviceAccountId: randomUUID() }), 'NOT_FOUND', 'SERVICE_ACCOUNT_NOT_FOUND');
    await expectInvalid(list({}), ['owner']);
  });
});

describe('RevokeApiKey', () => {
  test('a second time succeeds, changes nothing and is not written down', async () => {
    const { id } = await programInRoles(service, []);
    const { apiKey } = await service.apiKeys.createApiKey({ serviceAccountId: id, name: 'x' });
    const apiKeyId = required(apiKey).id;
    await service.apiKeys.revokeApiKey({ apiKeyId });
    const stored = async () =>
      (await service.apiKeys.listApiKeys({ serviceAccountId: id })).apiKeys.find((listed) => listed.id === apiKeyId);
    const revoked = await stored();
    expect(revoked?.revokeTime).toBeDefined();
    service.clock.advance(60);
    await service.apiKeys.revokeApiKey({ apiKeyId });
    expect(await stored()).toEqual(revoked);
    const actor = 'service_account:test-admin';
    expect(await eventsOf(apiKeyId)).toEqual([
      { type: 'api_key.created', actor, userId: null, account: id },
      { type: 'api_key.revoked', actor, userId: null, account: id },
    ]);
  });

  test('users revoke their own', async () => {
    const { user, tokens } = await signedIn(service);
    const { apiKey } = await service.apiKeys.createApiKey({ userId: user.id, name: 'x' });
    await service.apiKeys.revokeApiKey({ apiKeyId: required(apiKey).id }, { token: tokens.accessToken });
    expect((await eventsOf(required(apiKey).id)).at(-1)).toEqual({
      type: 'api_key.revoked',
      actor: `user:${user.id}`,
      userId: user.id,
      account: null,
    });
  });

  test('leaves the other keys of the owner alone', async () => {
    const { id, key } = await programInRoles(service, []);
    const { apiKey } = await service.apiKeys.createApiKey({ serviceAccountId: id, name: 'x' });
    await service.apiKeys.revokeApiKey({ apiKeyId: required(apiKey).id });
    expect((await service.apiKeys.introspectApiKey({ key })).active).toBe(true);
  });

  test('a key that does not exist, and no id', async () => {
    await expectStatus(service.apiKeys.revokeApiKey({ apiKeyId: randomUUID() }), 'NOT_FOUND', 'API_KEY_NOT_FOUND');
    await expectInvalid(service.apiKeys.revokeApiKey({}), ['api_key_id']);
  });
});

describe('IntrospectApiKey', () => {
  const INACTIVE = { active: false, apiKey: undefined, permissions: [] };

  test('tells whose an active key is and what it permits', async () => {
    const user = await register(service);
    await service.roles.assignRole({ userId: user.id, role: await roleWith(service, ['b.read', 'a.read']) });
    const { apiKey, key } = await service.apiKeys.createApiKey({ userId: user.id, name: 'x' });
    expect(await service.apiKeys.introspectApiKey({ key })).toEqual({ active: true, apiKey, permissions: ['a.read', 'b.read'] });
    const scoped = await keyOf(service, { userId: user.id }, ['b.read']);
    expect((await service.apiKeys.introspectApiKey({ key: scoped })).permissions).toEqual(['b.read']);
  });

  test.each([
    ['unknown', async () => `idk_${'0'.repeat(36)}`],
    ['truncated', async () => service.adminKey.slice(0, -1)],
    ['of another kind', async () => (await signedIn(service)).tokens.accessToken],
  ])('a key that is %s is not active', async (_, arrange) => {
    expect(await service.apiKeys.introspectApiKey({ key: await arrange() })).toEqual(INACTIVE);
  });

  test('a key is not active once it is revoked, at once', async () => {
    const { id } = await programInRoles(service, []);
    const { apiKey, key } = await service.apiKeys.createApiKey({ serviceAccountId: id, name: 'x' });
    await service.apiKeys.revokeApiKey({ apiKeyId: required(apiKey).id });
    expect(await service.apiKeys.introspectApiKey({ key })).toEqual(INACTIVE);
  });

  test('a key is active until it expires, and not any more then', async () => {
    const { id } = await programInRoles(service, []);
    const { key } = await service.apiKeys.createApiKey({ serviceAccountId: id, name: 'x', ttl: HOUR });
    service.clock.advance(3590);
    expect((await service.apiKeys.introspectApiKey({ key })).active).toBe(true);
    service.clock.advance(10);
    expect(await service.apiKeys.introspectApiKey({ key })).toEqual(INACTIVE);
  });

  test('a key is not active while its user is deactivated, nor when the owner is gone', async () => {
    const user = await register(service);
    const key = await keyOf(service, { userId: user.id });
    await service.users.deactivateUser({ userId: user.id });
    expect(await service.apiKeys.introspectApiKey({ key })).toEqual(INACTIVE);
    await service.users.reactivateUser({ userId: user.id });
    expect((await service.apiKeys.introspectApiKey({ key })).active).toBe(true);
    await service.users.deleteUser({ userId: user.id });
    expect(await service.apiKeys.introspectApiKey({ key })).toEqual(INACTIVE);
  });

  test('needs a key', async () => {
    await expectInvalid(service.apiKeys.introspectApiKey({}), ['key']);
  });
});

test('when keys were last used is written at the latest when the service stops', async () => {
  const database = await createDatabase();
  const first = await startService({}, database);
  const { id, key } = await programInRoles(first, []);
  const unused = await first.apiKeys.createApiKey({ serviceAccountId: id, name: 'unused' });
  first.clock.advance(100);
  const before = first.clock.now();
  await first.auth.getCaller({}, { token: key });
  const after = first.clock.now();
  await first.stop();
  const second = await startService({}, database);
  try {
    const { apiKeys } = await second.apiKeys.listApiKeys({ serviceAccountId: id });
    const used = apiKeys.find((apiKey) => apiKey.id !== unused.apiKey?.id);
    expect(required(used?.lastUsedTime).getTime()).toBeGreaterThanOrEqual(before.getTime());
    expect(required(used?.lastUsedTime).getTime()).toBeLessThanOrEqual(after.getTime());
    expect(apiKeys.find((apiKey) => apiKey.id === unused.apiKey?.id)?.lastUsedTime).toBeUndefined();
    // Its clock is behind the first one's: the moment must not move back.
    await second.auth.getCaller({}, { token: key });
  } finally {
    await second.stop();
  }
  const [stored] = (
    await database.pool.query<{ at: Date }>('select max(last_used_at) as at from api_keys where service_account_id = $1', [id])
  ).rows;
  expect(required(stored).at.getTime()).toBeGreaterThanOrEqual(before.getTime());
  await database.drop();
});
