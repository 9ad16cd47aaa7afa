import { describe, expect, test } from 'vitest';
import { required } from '../../support/builders.ts';
import { expectInvalid, expectStatus } from '../../support/expect-status.ts';
import { newName, programInRoles, programWith, roleWith } from '../../support/grants.ts';
import { rows } from '../../support/rows.ts';
import { useService } from '../../support/service.ts';

const service = useService();

const BY_ADMIN = 'service_account:test-admin';

async function eventsOf(role: string): Promise<{ type: string; actor: string; permissions: string | null }[]> {
  return rows(
    service,
    `select type, actor, metadata->>'permissions' as permissions from audit_events where metadata->>'role' = $1 order by occurred_at, type`,
    [role],
  );
}

describe('CreateRole', () => {
  test('answers with the role, its permissions sorted and each once', async () => {
    const name = newName();
    const { role } = await service.roles.createRole({
      role: { name, description: ' Approves.\nInvoices. ', permissions: ['invoices.read', 'invoices.approve', 'invoices.read'] },
    });
    expect(role).toEqual({
      name,
      description: 'Approves.\nInvoices.',
      permissions: ['invoices.approve', 'invoices.read'],
      builtIn: false,
      etag: expect.stringMatching(/^.{8,}$/),
    });
    expect((await service.roles.getRole({ name })).role).toEqual(role);
  });

  test('cannot make a built-in role', async () => {
    const { role } = await service.roles.createRole({ role: { name: newName(), builtIn: true } });
    expect(role?.builtIn).toBe(false);
  });

  test('is written down with its actor and its permissions', async () => {
    const { name: program, key } = await programWith(service, ['identity.roles.write', 'a.read', 'b.read']);
    const name = newName();
    await service.roles.createRole({ role: { name, permissions: ['b.read', 'a.read'] } }, { token: key });
    expect(await eventsOf(name)).toEqual([{ type: 'role.created', actor: `service_account:${program}`, permissions: 'a.read,b.read' }]);
  });

  test('refuses a name that is taken, and leaves that role as it is', async () => {
    const name = await roleWith(service, ['a.read']);
    await expectStatus(service.roles.createRole({ role: { name } }), 'ALREADY_EXISTS', 'ROLE_ALREADY_EXISTS');
    expect((await service.roles.getRole({ name })).role?.permissions).toEqual(['a.read']);
    expect(await eventsOf(name)).toHaveLength(1);
  });

  test.each(['', 'Admin', '1st', '_x', 'has space', 'a.b', 'ä', 'a'.repeat(65)])('refuses the name "%s"', async (name) => {
    await expectInvalid(service.roles.createRole({ role: { name } }), ['role.name']);
  });

  test('takes the shortest and the longest name', async () => {
    for (const name of ['q', `q${'-_0'.repeat(21)}`]) {
      expect((await service.roles.createRole({ role: { name } })).role?.name).toBe(name);
    }
  });

  test.each(['', 'A.b', 'a..b', '.a', 'a.', 'a b', 'a.*', '**', '1a', 'a'.repeat(101)])(
    'refuses the permission "%s"',
    async (permission) => {
      await expectInvalid(service.roles.createRole({ role: { name: newName(), permissions: ['a.read', permission] } }), [
        'role.permissions[1]',
      ]);
    },
  );

  test('takes 200 permissions of 100 characters, and not one more', async () => {
    const permissions = Array.from({ length: 200 }, (_, index) => `p${index}.`.padEnd(100, 'x'));
    const { role } = await service.roles.createRole({ role: { name: newName(), permissions } });
    expect(role?.permissions).toEqual([...permissions].sort());
    await expectInvalid(service.roles.createRole({ role: { name: newName(), permissions: [...permissions, 'p'] } }), ['role.permissions']);
  });

  test('takes a description of 500 characters, and not one more', async () => {
    const { role } = await service.roles.createRole({ role: { name: newName(), description: '😀'.repeat(500) } });
    expect(role?.description).toBe('😀'.repeat(500));
    await expectInvalid(service.roles.createRole({ role: { name: newName(), description: 'x'.repeat(501) } }), ['role.description']);
    await expectInvalid(service.roles.createRole({ role: { name: newName(), description: 'a\u0000b' } }), ['role.description']);
  });

  test('needs a role', async () => {
    await expectInvalid(service.roles.createRole({}), ['role']);
  });
});

describe('GetRole and ListRoles', () => {
  test('a name that no role has', async () => {
    await expectStatus(service.roles.getRole({ name: newName() }), 'NOT_FOUND', 'ROLE_NOT_FOUND');
    await expectInvalid(service.roles.getRole({ name: 'Not A Name' }), ['name']);
  });

  test('the list has every role as GetRole has it, by name', async () => {
    const names = [await roleWith(service, ['b.read', 'a.read']), await roleWith(service, [])];
    const { roles } = await service.roles.listRoles({});
    expect(roles.map(({ name }) => name)).toEqual(roles.map(({ name }) => name).sort());
    for (const name of [...names, 'admin']) {
      expect(roles.find((role) => role.name === name)).toEqual((await service.roles.getRole({ name })).role);
    }
  });
});

describe('UpdateRole', () => {
  test('sets what the mask names, and nothing else', async () => {
    const name = await roleWith(service, ['a.read']);
    await service.roles.updateRole({ role: { name, description: 'new', permissions: ['b.read'] }, updateMask: ['description'] });
    expect((await service.roles.getRole({ name })).role).toMatchObject({ description: 'new', permissions: ['a.read'] });
    const { role } = await service.roles.updateRole({ role: { name, permissions: ['c.read', 'b.read'] }, updateMask: ['permissions'] });
    expect(role).toMatchObject({ description: 'new', permissions: ['b.read', 'c.read'] });
    expect((await service.roles.getRole({ name })).role).toEqual(role);
  });

  test('sets both without a mask', async () => {
    const name = await roleWith(service, ['a.read']);
    const { role } = await service.roles.updateRole({ role: { name, description: 'new', permissions: [] } });
    expect(role).toMatchObject({ description: 'new', permissions: [] });
  });

  test.each(['name', 'built_in', 'etag', 'role.description', 'nonsense'])('refuses the path "%s"', async (path) => {
    const name = await roleWith(service, ['a.read']);
    const call = service.roles.updateRole({ role: { name, description: 'new' }, updateMask: ['description', path] });
    await expectInvalid(call, ['update_mask']);
    expect((await service.roles.getRole({ name })).role?.description).toBe('');
  });

  test('with the current etag succeeds and makes a new one; with the old one then fails', async () => {
    const name = await roleWith(service, ['a.read']);
    const { etag } = required((await service.roles.getRole({ name })).role);
    const { role } = await service.roles.updateRole({ role: { name, description: 'first', etag }, updateMask: ['description'] });
    expect(role?.etag).not.toBe(etag);
    const stale = service.roles.updateRole({ role: { name, description: 'second', etag }, updateMask: ['description'] });
    await expectStatus(stale, 'ABORTED', 'CONCURRENT_UPDATE');
    expect((await service.roles.getRole({ name })).role).toEqual(role);
  });

  test('the etag changes with the permissions', async () => {
    const name = await roleWith(service, ['a.read']);
    const { etag } = required((await service.roles.getRole({ name })).role);
    await service.roles.updateRole({ role: { name, permissions: ['b.read'] }, updateMask: ['permissions'] });
    const stale = service.roles.updateRole({ role: { name, etag }, updateMask: ['permissions'] });
    await expectStatus(stale, 'ABORTED', 'CONCURRENT_UPDATE');
  });

  test('of many changes at once with the same etag one succeeds', async () => {
    const name = await roleWith(service, ['a.read']);
    const { etag } = required((await service.roles.getRole({ name })).role);
    const updates = Array.from({ length: 8 }, (_, index) => service.roles.updateRole({ role: { name, permissions: [`p${index}`], etag } }));
    const results = await Promise.allSettled(updates);
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect((await service.roles.getRole({ name })).role?.permissions).toHaveLength(1);
  });

  test('is written down', async () => {
    const name = await roleWith(service, ['a.read']);
    await service.roles.updateRole({ role: { name, permissions: ['b.read'] } });
    expect(await eventsOf(name)).toEqual([
      { type: 'role.created', actor: BY_ADMIN, permissions: 'a.read' },
      { type: 'role.updated', actor: BY_ADMIN, permissions: 'b.read' },
    ]);
  });

  test('is not written down where it changes nothing, whatever the mask names', async () => {
    const name = await roleWith(service, ['a.read', 'b.read']);
    const { role: before } = await service.roles.getRole({ name });
    const same = { name, description: '', permissions: ['b.read', 'a.read', 'b.read'] };
    for (const updateMask of [undefined, ['description'], ['permissions'], []]) {
      expect((await service.roles.updateRole({ role: same, updateMask })).role).toEqual(before);
    }
    expect((await eventsOf(name)).map(({ type }) => type)).toEqual(['role.created']);
    await service.roles.updateRole({ role: { ...same, description: 'new' } });
    expect((await eventsOf(name)).map(({ type }) => type)).toEqual(['role.created', 'role.updated']);
  });

  test('a role that does not exist, and no role at all', async () => {
    await expectStatus(service.roles.updateRole({ role: { name: newName() } }), 'NOT_FOUND', 'ROLE_NOT_FOUND');
    await expectInvalid(service.roles.updateRole({}), ['role']);
  });
});

describe('DeleteRole', () => {
  test('takes the role from everybody', async () => {
    const name = await roleWith(service, ['a.read']);
    const { id } = await programInRoles(service, [name, 'reader']);
    await service.roles.deleteRole({ name });
    await expectStatus(service.roles.getRole({ name }), 'NOT_FOUND', 'ROLE_NOT_FOUND');
    expect((await service.serviceAccounts.getServiceAccount({ serviceAccountId: id })).serviceAccount?.roles).toEqual(['reader']);
    expect((await service.roles.checkPermission({ serviceAccountId: id, permission: 'a.read' })).allowed).toBe(false);
    expect((await eventsOf(name)).map(({ type, actor }) => [type, actor])).toContainEqual(['role.deleted', BY_ADMIN]);
  });

  test('a second time finds nothing', async () => {
    const name = await roleWith(service, []);
    await service.roles.deleteRole({ name });
    await expectStatus(service.roles.deleteRole({ name }), 'NOT_FOUND', 'ROLE_NOT_FOUND');
  });
});
