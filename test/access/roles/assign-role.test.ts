import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { atOnce, register, signedIn } from '../../support/builders.ts';
import { expectInvalid, expectStatus } from '../../support/expect-status.ts';
import { newName, programInRoles, roleWith } from '../../support/grants.ts';
import { rows } from '../../support/rows.ts';
import { useService } from '../../support/service.ts';

const service = useService();

const eventsOf = (role: string) =>
  rows(
    service,
    `select type, actor, user_id, metadata->>'service_account_id' as account from audit_events
     where metadata->>'role' = $1 and type <> 'role.created' order by occurred_at`,
    [role],
  );

describe('AssignRole and UnassignRole', () => {
  test('a user gets the role and loses it again', async () => {
    const user = await register(service);
    const role = await roleWith(service, ['a.read']);
    await service.roles.assignRole({ role, userId: user.id });
    expect((await service.users.getUser({ userId: user.id })).user?.roles).toEqual([role]);
    await service.roles.unassignRole({ role, userId: user.id });
    expect((await service.users.getUser({ userId: user.id })).user?.roles).toEqual([]);
  });

  test('a service account gets the role and loses it again', async () => {
    const { id } = await programInRoles(service, ['reader']);
    const role = await roleWith(service, ['a.read']);
    const rolesOf = async () => (await service.serviceAccounts.getServiceAccount({ serviceAccountId: id })).serviceAccount?.roles;
    await service.roles.assignRole({ role, serviceAccountId: id });
    expect(await rolesOf()).toEqual([role, 'reader'].sort());
    await service.roles.unassignRole({ role, serviceAccountId: id });
    expect(await rolesOf()).toEqual(['reader']);
  });

  test('a second time changes nothing and is not written down', async () => {
    const user = await register(service);
    const { id } = await programInRoles(service, []);
    const role = await roleWith(service, ['a.read']);
    for (const subject of [{ userId: user.id }, { serviceAccountId: id }]) {
      await service.roles.assignRole({ role, ...subject });
      await service.roles.assignRole({ role, ...subject });
      await service.roles.unassignRole({ role, ...subject });
      await service.roles.unassignRole({ role, ...subject });
    }
    const actor = 'service_account:test-admin';
    expect(await eventsOf(role)).toEqual([
      { type: 'role.assigned', actor, user_id: user.id, account: null },
      { type: 'role.unassigned', actor, user_id: user.id, account: null },
      { type: 'role.assigned', actor, user_id: null, account: id },
      { type: 'role.unassigned', actor, user_id: null, account: id },
    ]);
  });

  test('many times at once is once', async () => {
    const user = await register(service);
    const role = await roleWith(service, ['a.read']);
    const results = await atOnce(8, () => service.roles.assignRole({ role, userId: user.id }));
    expect(results.map(({ status }) => status)).toEqual(Array(8).fill('fulfilled'));
    expect(await eventsOf(role)).toHaveLength(1);
  });

  test('is refused for what does not exist', async () => {
    const user = await register(service);
    for (const rpc of ['assignRole', 'unassignRole'] as const) {
      const call = service.roles[rpc];
      await expectStatus(call({ role: newName(), userId: user.id }), 'NOT_FOUND', 'ROLE_NOT_FOUND');
      await expectStatus(call({ role: 'reader', userId: randomUUID() }), 'NOT_FOUND', 'USER_NOT_FOUND');
      await expectStatus(call({ role: 'reader', serviceAccountId: randomUUID() }), 'NOT_FOUND', 'SERVICE_ACCOUNT_NOT_FOUND');
    }
  });

  test('needs one subject, and a name', async () => {
    for (const rpc of ['assignRole', 'unassignRole'] as const) {
      const call = service.roles[rpc];
      await expectInvalid(call({ role: 'reader' }), ['subject']);
      await expectInvalid(call({ role: 'reader', userId: 'x' }), ['user_id']);
      await expectInvalid(call({ role: 'No Name', userId: randomUUID() }), ['role']);
    }
  });
});

describe('CheckPermission', () => {
  test('answers for users and for service accounts', async () => {
    const user = await register(service);
    const role = await roleWith(service, ['a.read']);
    await service.roles.assignRole({ role, userId: user.id });
    const { id } = await programInRoles(service, [role]);
    for (const subject of [{ userId: user.id }, { serviceAccountId: id }]) {
      expect(await service.roles.checkPermission({ ...subject, permission: 'a.read' })).toEqual({ allowed: true });
      expect(await service.roles.checkPermission({ ...subject, permission: 'a' })).toEqual({ allowed: false });
      expect(await service.roles.checkPermission({ ...subject, permission: '*' })).toEqual({ allowed: false });
    }
  });

  test('who has everything has permissions that nobody has named yet', async () => {
    const { id } = await programInRoles(service, ['admin']);
    for (const permission of ['invoices.approve', '*']) {
      expect(await service.roles.checkPermission({ serviceAccountId: id, permission })).toEqual({ allowed: true });
    }
  });

  test('a change counts at once', async () => {
    const { id } = await programInRoles(service, ['reader']);
    const allowed = async () => (await service.roles.checkPermission({ serviceAccountId: id, permission: 'identity.audit.read' })).allowed;
    expect(await allowed()).toBe(true);
    await service.roles.unassignRole({ role: 'reader', serviceAccountId: id });
    expect(await allowed()).toBe(false);
  });

  test('a deactivated user has no permission', async () => {
    const user = await register(service);
    await service.roles.assignRole({ role: 'admin', userId: user.id });
    await service.users.deactivateUser({ userId: user.id });
    expect(await service.roles.checkPermission({ userId: user.id, permission: 'a.read' })).toEqual({ allowed: false });
  });

  test('users ask about themselves', async () => {
    const { user, tokens } = await signedIn(service);
    const call = service.roles.checkPermission({ userId: user.id, permission: 'a.read' }, { token: tokens.accessToken });
    expect(await call).toEqual({ allowed: false });
  });

  test('a subject that does not exist, none, and a name that is none', async () => {
    const check = service.roles.checkPermission;
    await expectStatus(check({ userId: randomUUID(), permission: 'a' }), 'NOT_FOUND', 'USER_NOT_FOUND');
    await expectStatus(check({ serviceAccountId: randomUUID(), permission: 'a' }), 'NOT_FOUND', 'SERVICE_ACCOUNT_NOT_FOUND');
    await expectInvalid(check({ permission: 'a' }), ['subject']);
    await expectInvalid(check({ userId: randomUUID(), permission: '' }), ['permission']);
  });
});
