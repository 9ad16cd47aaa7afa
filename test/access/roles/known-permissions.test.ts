import { describe, expect, it } from 'vitest';
import { required } from '../../support/builders.ts';
import { expectInvalid } from '../../support/expect-status.ts';
import { newName, programInRoles, roleWith } from '../../support/grants.ts';
import { rows } from '../../support/rows.ts';
import { useService } from '../../support/service.ts';

const service = useService();

const MISSPELT = [
  ['identity.users.raed', 'identity.users.read'],
  ['identity.user.write', 'identity.users.write'],
  ['identity.sessions', 'identity.sessions.read'],
  ['identity.apikeys.read', 'identity.api_keys.read'],
];

const problemOf = (nearest: string) => `is no permission of this service; the nearest one is ${nearest}`;

describe.each(MISSPELT)('a permission %s, which does not exist', (name, nearest) => {
  it('is refused by CreateRole, UpdateRole and CreateApiKey, which name the nearest one', async () => {
    const { id: serviceAccountId } = await programInRoles(service, ['admin']);
    const permissions = ['a.read', name];
    const created = await expectInvalid(service.roles.createRole({ role: { name: newName(), permissions } }), ['role.permissions[1]']);
    const role = await roleWith(service, ['a.read']);
    const updated = await expectInvalid(service.roles.updateRole({ role: { name: role, permissions } }), ['role.permissions']);
    const scoped = await expectInvalid(service.apiKeys.createApiKey({ serviceAccountId, name: 'x', scopes: permissions }), ['scopes[1]']);
    expect(created.descriptions).toEqual([problemOf(nearest)]);
    expect(updated.descriptions).toEqual([`${name} ${problemOf(nearest)}`]);
    expect(scoped.descriptions).toEqual([problemOf(nearest)]);
    expect(required((await service.roles.getRole({ name: role })).role).permissions).toEqual(['a.read']);
  });
});

it('a role may have all that exists, everything, and whatever products call theirs', async () => {
  const { permissions } = await service.roles.listPermissions({});
  const names = [...permissions.map(({ name }) => name), '*', 'identity-card.read', 'identities.read'].sort();
  const role = await roleWith(service, names);
  expect((await service.roles.getRole({ name: role })).role?.permissions).toEqual(names);
});

it('a role keeps a name that it has from before, until it is taken away', async () => {
  const name = await roleWith(service, ['a.read']);
  await rows(service, `insert into role_permissions select id, 'identity.users.raed' from roles where name = $1`, [name]);
  const update = async (permissions: string[]) => (await service.roles.updateRole({ role: { name, permissions } })).role?.permissions;
  expect(await update(['b.read', 'identity.users.raed'])).toEqual(['b.read', 'identity.users.raed']);
  expect(await update(['b.read'])).toEqual(['b.read']);
  await expectInvalid(update(['b.read', 'identity.users.raed']), ['role.permissions']);
});
