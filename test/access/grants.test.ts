import { describe, expect, test } from 'vitest';
import { register, required, signedIn } from '../support/builders.ts';
import { expectInvalid, expectStatus } from '../support/expect-status.ts';
import { keyOf, newName, type Program, programInRoles, programWith, roleWith } from '../support/grants.ts';
import { rows } from '../support/rows.ts';
import { useService } from '../support/service.ts';

const service = useService();

/** What it takes to change who may do what. */
const MANAGER = [
  'identity.roles.read',
  'identity.roles.write',
  'identity.roles.assign',
  'identity.service_accounts.write',
  'identity.api_keys.write',
  'identity.users.write',
];
/** What users may do to themselves. */
const OVER_SELF = [
  'identity.api_keys.read',
  'identity.api_keys.write',
  'identity.auth.recover',
  'identity.passwords.write',
  'identity.roles.read',
  'identity.sessions.read',
  'identity.sessions.write',
  'identity.users.export',
  'identity.users.read',
  'identity.users.write',
];

/** Somebody who manages access, and has nothing beyond that but `more`. */
const manager = (more: string[] = []): Promise<Program> => programWith(service, [...MANAGER, ...more]);

const denied = (call: Promise<unknown>) => expectStatus(call, 'PERMISSION_DENIED', 'GRANT_EXCEEDS_CALLER');

const may = async (owner: { userId?: string; serviceAccountId?: string }, permission: string) =>
  (await service.roles.checkPermission({ ...owner, permission })).allowed;

describe('nobody grants what they do not have', () => {
  test.each(['invoices.approve', '*'])('CreateRole: not even a role that nobody has yet (%s)', async (permission) => {
    const { key } = await manager();
    const name = newName();
    await denied(service.roles.createRole({ role: { name, permissions: ['identity.roles.read', permission] } }, { token: key }));
    await expectStatus(service.roles.getRole({ name }), 'NOT_FOUND', 'ROLE_NOT_FOUND');
    await service.roles.createRole({ role: { name, permissions: ['identity.roles.read'] } }, { token: key });
  });

  test.each(['invoices.approve', '*'])('UpdateRole: not to a role of their own (%s)', async (permission) => {
    const role = await roleWith(service, MANAGER);
    const { id, key } = await programInRoles(service, [role]);
    await denied(service.roles.updateRole({ role: { name: role, permissions: [...MANAGER, permission] } }, { token: key }));
    expect(await may({ serviceAccountId: id }, 'invoices.approve')).toBe(false);
  });

  test('UpdateRole: nor do they take away what they do not have', async () => {
    const role = await roleWith(service, ['invoices.approve']);
    const { key } = await manager();
    await denied(service.roles.updateRole({ role: { name: role, permissions: [] } }, { token: key }));
    expect((await service.roles.getRole({ name: role })).role?.permissions).toEqual(['invoices.approve']);
  });

  test('UpdateRole: what stays as it is needs no permission', async () => {
    const role = await roleWith(service, ['invoices.approve']);
    const { key } = await manager();
    const permissions = ['identity.roles.read', 'invoices.approve'];
    await service.roles.updateRole({ role: { name: role, permissions } }, { token: key });
    expect((await service.roles.getRole({ name: role })).role?.permissions).toEqual(permissions);
  });

  test.each(['admin', 'reader'])('AssignRole: not %s to themselves or others', async (role) => {
    const { id, key } = await manager();
    const user = await register(service);
    await denied(service.roles.assignRole({ role, serviceAccountId: id }, { token: key }));
    await denied(service.roles.assignRole({ role, userId: user.id }, { token: key }));
    expect(await may({ serviceAccountId: id }, 'identity.audit.read')).toBe(false);
    expect(await may({ userId: user.id }, 'identity.audit.read')).toBe(false);
  });

  test('AssignRole: a role within their permissions', async () => {
    const { key } = await manager(['invoices.approve']);
    const user = await register(service);
    await service.roles.assignRole({ role: await roleWith(service, ['invoices.approve']), userId: user.id }, { token: key });
    expect(await may({ userId: user.id }, 'invoices.approve')).toBe(true);
  });

  test('UnassignRole and DeleteRole: not what they do not have', async () => {
    const role = await roleWith(service, ['invoices.approve']);
    const user = await register(service);
    await service.roles.assignRole({ role, userId: user.id });
    const { key } = await manager();
    await denied(service.roles.unassignRole({ role, userId: user.id }, { token: key }));
    await denied(service.roles.deleteRole({ name: role }, { token: key }));
    expect(await may({ userId: user.id }, 'invoices.approve')).toBe(true);
  });

  test('CreateServiceAccount: not with a role beyond theirs, which leaves no account', async () => {
    const { key } = await manager();
    const name = newName();
    await denied(service.serviceAccounts.createServiceAccount({ name, roles: ['admin'] }, { token: key }));
    expect(await rows(service, 'select 1 from service_accounts where name = $1', [name])).toEqual([]);
    await service.serviceAccounts.createServiceAccount({ name }, { token: key });
  });

  test('DeleteServiceAccount: not one that may do more, active or not', async () => {
    const { key } = await manager();
    const admin = await programInRoles(service, ['admin']);
    await denied(service.serviceAccounts.deleteServiceAccount({ serviceAccountId: admin.id }, { token: key }));
    await rows(service, 'update service_accounts set is_active = false where id = $1', [admin.id]);
    await denied(service.serviceAccounts.deleteServiceAccount({ serviceAccountId: admin.id }, { token: key }));
    await service.serviceAccounts.getServiceAccount({ serviceAccountId: admin.id });
  });

  test('a key with scopes grants no more than its scopes, although its owner has everything', async () => {
    const admin = await programInRoles(service, ['admin']);
    const token = await keyOf(service, { serviceAccountId: admin.id }, MANAGER);
    await denied(service.roles.createRole({ role: { name: newName(), permissions: ['invoices.approve'] } }, { token }));
    await denied(service.roles.assignRole({ role: 'admin', serviceAccountId: admin.id }, { token }));
    await denied(service.serviceAccounts.createServiceAccount({ name: newName(), roles: ['admin'] }, { token }));
    await denied(service.apiKeys.createApiKey({ serviceAccountId: admin.id, name: 'x' }, { token }));
    await denied(service.apiKeys.createApiKey({ serviceAccountId: admin.id, name: 'x', scopes: ['*'] }, { token }));
  });
});

describe('CreateApiKey', () => {
  test('is refused for an owner who may do more than the caller', async () => {
    const { key } = await manager(OVER_SELF);
    const admin = await programInRoles(service, ['admin']);
    const user = await register(service);
    await service.roles.assignRole({ role: 'reader', userId: user.id });
    await denied(service.apiKeys.createApiKey({ serviceAccountId: admin.id, name: 'x' }, { token: key }));
    await denied(service.apiKeys.createApiKey({ userId: user.id, name: 'x' }, { token: key }));
    expect((await service.apiKeys.listApiKeys({ userId: user.id })).apiKeys).toEqual([]);
  });

  test('is allowed within the scopes that the caller has', async () => {
    const { key } = await manager();
    const admin = await programInRoles(service, ['admin']);
    const request = { serviceAccountId: admin.id, name: 'x', scopes: ['identity.roles.read'] };
    const made = await service.apiKeys.createApiKey(request, { token: key });
    expect((await service.auth.getCaller({}, { token: made.key })).permissions).toEqual(['identity.roles.read']);
  });

  test('a deactivated administrator counts as one: the key would work once they are back', async () => {
    const { key } = await manager(OVER_SELF);
    const { user } = await signedIn(service);
    await service.roles.assignRole({ role: 'admin', userId: user.id });
    await service.users.deactivateUser({ userId: user.id });
    await denied(service.apiKeys.createApiKey({ userId: user.id, name: 'x' }, { token: key }));
  });

  test('a key without scopes acts for its user, so the caller must have all that users may do to themselves', async () => {
    const user = await register(service);
    for (const missing of OVER_SELF.filter((name) => name !== 'identity.api_keys.write')) {
      const { key } = await programWith(
        service,
        OVER_SELF.filter((name) => name !== missing),
      );
      await denied(service.apiKeys.createApiKey({ userId: user.id, name: 'x' }, { token: key }));
    }
    const { key } = await programWith(service, OVER_SELF);
    await service.apiKeys.createApiKey({ userId: user.id, name: 'x' }, { token: key });
  });

  test('a key of a user makes no keys, with scopes or without: it is no fresh sign-in', async () => {
    const user = await register(service);
    await service.roles.assignRole({ role: await roleWith(service, ['identity.api_keys.write']), userId: user.id });
    for (const scopes of [[], ['identity.api_keys.write']]) {
      const token = await keyOf(service, { userId: user.id }, scopes);
      const call = service.apiKeys.createApiKey({ userId: user.id, name: 'x', scopes: ['identity.api_keys.write'] }, { token });
      await expectStatus(call, 'UNAUTHENTICATED', 'REAUTHENTICATION_REQUIRED');
    }
  });

  test('users make keys of their own, with no more than they have', async () => {
    const { user, tokens } = await signedIn(service);
    await service.roles.assignRole({ role: await roleWith(service, ['invoices.read', 'invoices.write']), userId: user.id });
    const token = tokens.accessToken;
    const { key } = await service.apiKeys.createApiKey({ userId: user.id, name: 'x', scopes: ['invoices.read'] }, { token });
    expect((await service.auth.getCaller({}, { token: key })).permissions).toEqual(['invoices.read']);
    for (const scope of ['invoices.approve', 'identity.users.read', '*']) {
      await denied(service.apiKeys.createApiKey({ userId: user.id, name: 'x', scopes: ['invoices.read', scope] }, { token }));
    }
  });

  test('scopes are a subset of what the owner has, even where an administrator makes the key', async () => {
    const { id } = await programWith(service, ['invoices.read']);
    await denied(service.apiKeys.createApiKey({ serviceAccountId: id, name: 'x', scopes: ['invoices.write'] }));
    await denied(service.apiKeys.createApiKey({ serviceAccountId: id, name: 'x', scopes: ['*'] }));
    await expectInvalid(service.apiKeys.createApiKey({ serviceAccountId: id, name: 'x', scopes: ['not a name'] }), ['scopes[0]']);
  });

  test('a scope that the owner has lost permits nothing', async () => {
    const role = await roleWith(service, ['invoices.read', 'invoices.write']);
    const { id } = await programInRoles(service, [role]);
    const key = await keyOf(service, { serviceAccountId: id }, ['invoices.read', 'invoices.write']);
    await service.roles.updateRole({ role: { name: role, permissions: ['invoices.read'] } });
    expect((await service.auth.getCaller({}, { token: key })).permissions).toEqual(['invoices.read']);
  });

  test('a key of a user with scopes does not act for the user', async () => {
    const user = await register(service);
    await service.roles.assignRole({ role: await roleWith(service, ['invoices.read']), userId: user.id });
    const token = await keyOf(service, { userId: user.id }, ['invoices.read']);
    await expectStatus(service.users.getUser({ userId: user.id }, { token }), 'PERMISSION_DENIED', 'PERMISSION_DENIED');
    await expectStatus(service.apiKeys.createApiKey({ userId: user.id, name: 'x' }, { token }), 'PERMISSION_DENIED', 'PERMISSION_DENIED');
  });
});

describe('the built-in roles', () => {
  test.each(['admin', 'service', 'reader'])('%s cannot be changed or deleted, even by who has everything', async (name) => {
    const before = required((await service.roles.getRole({ name })).role);
    await expectStatus(service.roles.updateRole({ role: { name, permissions: ['*'] } }), 'FAILED_PRECONDITION', 'ROLE_BUILT_IN');
    await expectStatus(
      service.roles.updateRole({ role: { name, description: 'x' }, updateMask: ['description'] }),
      'FAILED_PRECONDITION',
      'ROLE_BUILT_IN',
    );
    await expectStatus(service.roles.deleteRole({ name }), 'FAILED_PRECONDITION', 'ROLE_BUILT_IN');
    await expectStatus(service.roles.createRole({ role: { name } }), 'ALREADY_EXISTS', 'ROLE_ALREADY_EXISTS');
    expect((await service.roles.getRole({ name })).role).toEqual(before);
  });
});
