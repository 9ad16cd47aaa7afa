import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { required } from '../../support/builders.ts';
import { expectInvalid, expectStatus } from '../../support/expect-status.ts';
import { keyOf, newName, programInRoles, programWith, roleWith } from '../../support/grants.ts';
import { rows } from '../../support/rows.ts';
import { useService } from '../../support/service.ts';

const service = useService();

const eventsOf = (id: string) =>
  rows(
    service,
    `select type, actor, user_id, metadata from audit_events
     where metadata->>'service_account_id' = $1 and type like 'service_account.%' order by occurred_at`,
    [id],
  );

describe('CreateServiceAccount', () => {
  test('answers with the account, its roles sorted and each once', async () => {
    const name = newName();
    const { serviceAccount } = await service.serviceAccounts.createServiceAccount({
      name,
      description: ' The web shop ',
      roles: ['service', 'reader', 'service'],
    });
    expect(serviceAccount).toEqual({ id: expect.any(String), name, description: 'The web shop', roles: ['reader', 'service'] });
    const { id } = required(serviceAccount);
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect((await service.serviceAccounts.getServiceAccount({ serviceAccountId: id })).serviceAccount).toEqual(serviceAccount);
    expect((await service.apiKeys.listApiKeys({ serviceAccountId: id })).apiKeys).toEqual([]);
  });

  test('is written down with its actor', async () => {
    const maker = await programWith(service, ['identity.service_accounts.write', 'a.read']);
    const role = await roleWith(service, ['a.read']);
    const name = newName();
    const { serviceAccount } = await service.serviceAccounts.createServiceAccount({ name, roles: [role] }, { token: maker.key });
    const { id } = required(serviceAccount);
    expect(await eventsOf(id)).toEqual([
      {
        type: 'service_account.created',
        actor: `service_account:${maker.name}`,
        user_id: null,
        metadata: { service_account_id: id, name, roles: role },
      },
    ]);
  });

  test('refuses a name that is taken', async () => {
    const { name } = await programInRoles(service, []);
    const call = service.serviceAccounts.createServiceAccount({ name });
    await expectStatus(call, 'ALREADY_EXISTS', 'SERVICE_ACCOUNT_ALREADY_EXISTS');
  });

  test('refuses a role that does not exist, and leaves no account', async () => {
    const name = newName();
    const call = service.serviceAccounts.createServiceAccount({ name, roles: ['reader', newName()] });
    await expectStatus(call, 'NOT_FOUND', 'ROLE_NOT_FOUND');
    expect(await rows(service, 'select 1 from service_accounts where name = $1', [name])).toEqual([]);
  });

  test.each(['', 'a', 'A-b', '1a', '.a', 'a b', 'a_b', 'ä1', 'a'.repeat(65)])('refuses the name "%s"', async (name) => {
    await expectInvalid(service.serviceAccounts.createServiceAccount({ name }), ['name']);
  });

  test('takes the shortest and the longest name', async () => {
    for (const name of ['ab', 'shop.example.com'.padEnd(64, '-0')]) {
      expect((await service.serviceAccounts.createServiceAccount({ name })).serviceAccount?.name).toBe(name);
    }
  });

  test('takes a description of 500 characters, and not one more', async () => {
    const description = '😀'.repeat(500);
    const { serviceAccount } = await service.serviceAccounts.createServiceAccount({ name: newName(), description });
    expect(serviceAccount?.description).toBe(description);
    await expectInvalid(service.serviceAccounts.createServiceAccount({ name: newName(), description: `${description}x` }), ['description']);
  });

  test('takes no more than 100 names of roles, and only such as could be some', async () => {
    const create = service.serviceAccounts.createServiceAccount;
    await expectInvalid(create({ name: newName(), roles: Array(101).fill('reader') }), ['roles']);
    await expectInvalid(create({ name: newName(), roles: ['reader', 'No Role'] }), ['roles[1]']);
  });
});

describe('GetServiceAccount and ListServiceAccounts', () => {
  test('an id that no account has', async () => {
    const get = service.serviceAccounts.getServiceAccount;
    await expectStatus(get({ serviceAccountId: randomUUID() }), 'NOT_FOUND', 'SERVICE_ACCOUNT_NOT_FOUND');
    await expectInvalid(get({ serviceAccountId: 'x' }), ['service_account_id']);
  });

  test('the list has every account as GetServiceAccount has it, by name', async () => {
    const { id } = await programInRoles(service, ['service', 'reader']);
    await programInRoles(service, []);
    const { serviceAccounts } = await service.serviceAccounts.listServiceAccounts({});
    const names = serviceAccounts.map(({ name }) => name);
    expect(names).toEqual([...names].sort());
    expect(names).toContain('test-admin');
    const { serviceAccount } = await service.serviceAccounts.getServiceAccount({ serviceAccountId: id });
    expect(serviceAccounts.find((account) => account.id === id)).toEqual(serviceAccount);
  });
});

describe('DeleteServiceAccount', () => {
  test('takes its keys and roles with it, and is written down', async () => {
    const { id, name } = await programInRoles(service, ['reader']);
    await keyOf(service, { serviceAccountId: id });
    await service.serviceAccounts.deleteServiceAccount({ serviceAccountId: id });
    await expectStatus(service.serviceAccounts.getServiceAccount({ serviceAccountId: id }), 'NOT_FOUND', 'SERVICE_ACCOUNT_NOT_FOUND');
    expect(await rows(service, 'select 1 from api_keys where service_account_id = $1', [id])).toEqual([]);
    expect(await rows(service, 'select 1 from service_account_roles where service_account_id = $1', [id])).toEqual([]);
    expect((await eventsOf(id)).at(-1)).toEqual({
      type: 'service_account.deleted',
      actor: 'service_account:test-admin',
      user_id: null,
      metadata: { service_account_id: id, name },
    });
  });

  test('a second time finds nothing; the name is free again', async () => {
    const { id, name } = await programInRoles(service, []);
    await service.serviceAccounts.deleteServiceAccount({ serviceAccountId: id });
    await expectStatus(service.serviceAccounts.deleteServiceAccount({ serviceAccountId: id }), 'NOT_FOUND', 'SERVICE_ACCOUNT_NOT_FOUND');
    const { serviceAccount } = await service.serviceAccounts.createServiceAccount({ name });
    expect(serviceAccount?.id).not.toBe(id);
    expect(serviceAccount?.roles).toEqual([]);
  });
});
