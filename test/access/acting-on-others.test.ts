import { createFileRegistry, fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { beforeAll, describe, expect, it } from 'vitest';
import { CredentialKind } from '../../src/gen/identity/v1/user_service.ts';
import { readAccess } from '../../src/rpc/access.ts';
import { DESCRIPTORS } from '../../src/rpc/descriptors.ts';
import { atOnce, newEmail, PASSWORD, register, required, signedIn } from '../support/builders.ts';
import { expectStatus } from '../support/expect-status.ts';
import { keyOf, programInRoles, programWith, roleWith } from '../support/grants.ts';
import { useService } from '../support/service.ts';

const service = useService();

/** A permission that those who are acted upon have, and those who act have not. */
const MORE = 'identity.audit.read';

const ALL_BUT_ONE = [...new Set([...readAccess(DESCRIPTORS).values()].map(({ permission }) => permission))].filter(
  (name) => name !== '' && name !== MORE,
);

/** Somebody who is acted upon, with something of each kind that can be named. */
interface Target {
  readonly userId: string;
  readonly email: string;
  readonly role: string;
  readonly sessionId: string;
  readonly apiKeyId: string;
  readonly serviceAccountId: string;
}

async function targetWith(permissions: string[]): Promise<Target> {
  const role = await roleWith(service, ['a.read']);
  const roles = [role, await roleWith(service, permissions)];
  const { user, tokens } = await signedIn(service);
  for (const each of roles) await service.roles.assignRole({ userId: user.id, role: each });
  const { apiKey } = await service.apiKeys.createApiKey({ userId: user.id, name: 'theirs' });
  const { id } = await programInRoles(service, roles);
  const { id: userId, email } = user;
  return { userId, email, role, sessionId: tokens.sessionId, apiKeyId: required(apiKey).id, serviceAccountId: id };
}

type Act = (target: Target, token?: string) => Promise<unknown>;

const REFUSED: Readonly<Record<string, Act>> = {
  'UserService.UpdateUser': ({ userId }, token) =>
    service.users.updateUser({ user: { id: userId, profile: { bio: 'x' } }, updateMask: ['profile.bio'] }, { token }),
  'UserService.DeactivateUser': ({ userId }, token) => service.users.deactivateUser({ userId }, { token }),
  'UserService.ReactivateUser': ({ userId }, token) => service.users.reactivateUser({ userId }, { token }),
  'UserService.RevokeCredentials': ({ userId }, token) =>
    service.users.revokeCredentials({ userId, kinds: [CredentialKind.CREDENTIAL_KIND_SESSIONS] }, { token }),
  'UserService.ExportUser': ({ userId }, token) => service.users.exportUser({ userId }, { token }),
  'AuthService.RequestEmailChange': ({ userId }, token) => service.auth.requestEmailChange({ userId, newEmail: newEmail() }, { token }),
  'SessionService.RevokeAllSessions with the keys': ({ userId }, token) =>
    service.sessions.revokeAllSessions({ userId, revokeApiKeys: true }, { token }),
  'RoleService.UnassignRole': ({ userId, role }, token) => service.roles.unassignRole({ userId, role }, { token }),
  'RoleService.UnassignRole of a service account': ({ serviceAccountId, role }, token) =>
    service.roles.unassignRole({ serviceAccountId, role }, { token }),
  'ApiKeyService.CreateApiKey': ({ userId }, token) => service.apiKeys.createApiKey({ userId, name: 'x' }, { token }),
  'ApiKeyService.CreateApiKey of a service account': ({ serviceAccountId }, token) =>
    service.apiKeys.createApiKey({ serviceAccountId, name: 'x' }, { token }),
  'ApiKeyService.RevokeApiKey': ({ apiKeyId }, token) => service.apiKeys.revokeApiKey({ apiKeyId }, { token }),
  'ServiceAccountService.DeleteServiceAccount': ({ serviceAccountId }, token) =>
    service.serviceAccounts.deleteServiceAccount({ serviceAccountId }, { token }),
  'UserService.DeleteUser': ({ userId }, token) => service.users.deleteUser({ userId }, { token }),
};

/** What gives nobody anything, or proves the password of whom it is about. */
const ALLOWED: Readonly<Record<string, Act>> = {
  'UserService.GetUser': ({ userId }, token) => service.users.getUser({ userId }, { token }),
  'UserService.BatchGetUsers': ({ userId }, token) => service.users.batchGetUsers({ userIds: [userId] }, { token }),
  'UserService.UnlockUser': ({ userId }, token) => service.users.unlockUser({ userId }, { token }),
  'AuthService.CheckPassword': ({ userId }, token) => service.auth.checkPassword({ userId, password: 'another passphrase' }, { token }),
  'AuthService.ChangePassword': ({ userId }, token) =>
    service.auth.changePassword({ userId, currentPassword: PASSWORD, newPassword: 'another passphrase of theirs' }, { token }),
  'SessionService.ListSessions': ({ userId }, token) => service.sessions.listSessions({ userId }, { token }),
  'SessionService.RevokeSession': ({ sessionId }, token) => service.sessions.revokeSession({ sessionId }, { token }),
  'SessionService.RevokeAllSessions': ({ userId }, token) => service.sessions.revokeAllSessions({ userId }, { token }),
  'RoleService.CheckPermission': ({ userId }, token) => service.roles.checkPermission({ userId, permission: 'a.read' }, { token }),
  'RoleService.AssignRole': ({ userId, role }, token) => service.roles.assignRole({ userId, role }, { token }),
  'ApiKeyService.ListApiKeys': ({ userId }, token) => service.apiKeys.listApiKeys({ userId }, { token }),
  'ServiceAccountService.GetServiceAccount': ({ serviceAccountId }, token) =>
    service.serviceAccounts.getServiceAccount({ serviceAccountId }, { token }),
};

/** Names of the fields by which a request says whom it is about. */
const NAMES_SOMEBODY = /^(user|user_id|user_ids|session_id|api_key_id|service_account_id)$/;

const denied = (call: Promise<unknown>) => expectStatus(call, 'PERMISSION_DENIED', 'GRANT_EXCEEDS_CALLER');

it('the tables have every RPC that names a user, a session, a key or a service account', () => {
  const named = [...createFileRegistry(fromBinary(FileDescriptorSetSchema, DESCRIPTORS))]
    .filter((type) => type.kind === 'service')
    .filter(({ file }) => file.proto.package === 'identity.v1')
    .flatMap(({ name, methods }) => methods.map((method) => ({ rpc: `${name}.${method.name}`, fields: method.input.fields })))
    .filter(({ fields }) => fields.some((field) => NAMES_SOMEBODY.test(field.name)))
    .map(({ rpc }) => rpc);
  const inTables = [...Object.keys(REFUSED), ...Object.keys(ALLOWED)].map((row) => row.split(' ')[0] ?? '');
  expect([...new Set(inTables)].sort()).toEqual(named.sort());
});

describe('nobody acts on who may do more in this service than they', () => {
  let target: Target;
  let admin: Target;
  let caller: string;
  let scoped: string;

  beforeAll(async () => {
    target = await targetWith([MORE]);
    admin = await targetWith(['*']);
    caller = (await programWith(service, [...ALL_BUT_ONE, 'a.read'])).key;
    const { id } = await programInRoles(service, ['admin']);
    scoped = await keyOf(service, { serviceAccountId: id }, [...ALL_BUT_ONE, 'a.read']);
  });

  it.each(Object.entries(REFUSED))('%s is refused, and changes nothing', async (_, act) => {
    const state = () => service.users.exportUser({ userId: target.userId });
    const before = await state();
    await denied(act(target, caller));
    await denied(act(admin, caller));
    // An administrator's key that is limited is not the administrator.
    await denied(act(target, scoped));
    expect(withoutTrail(await state())).toEqual(withoutTrail(before));
  });

  it.each(Object.entries(ALLOWED))('%s is allowed', async (_, act) => {
    const other = await targetWith([MORE]);
    await act(other, caller);
  });

  it.each(Object.entries(REFUSED))('%s is allowed to who has as much', async (_, act) => {
    const other = await targetWith([MORE]);
    await act(other, (await programWith(service, [...ALL_BUT_ONE, MORE, 'a.read'])).key);
  });

  it('permissions of products do not count, but where they are given or taken', async () => {
    const other = await targetWith(['b.write']);
    const backend = (await programWith(service, ALL_BUT_ONE)).key;
    for (const rpc of ['UpdateUser', 'ExportUser', 'DeactivateUser', 'ReactivateUser', 'RevokeCredentials', 'DeleteUser']) {
      await REFUSED[`UserService.${rpc}`]?.(other, backend);
    }
    await denied(service.serviceAccounts.deleteServiceAccount({ serviceAccountId: other.serviceAccountId }, { token: backend }));
  });

  it('a user who may do more than a caller is acted upon by themself', async () => {
    const { user, tokens } = await signedIn(service);
    await service.roles.assignRole({ userId: user.id, role: 'admin' });
    const { key, apiKey } = await service.apiKeys.createApiKey({ userId: user.id, name: 'x' }, { token: tokens.accessToken });
    await service.users.updateUser({ user: { id: user.id, profile: { bio: 'x' } } }, { token: key });
    await service.apiKeys.revokeApiKey({ apiKeyId: required(apiKey).id }, { token: tokens.accessToken });
    await service.users.exportUser({ userId: user.id }, { token: tokens.accessToken });
  });

  it('a limited key of a user is no more than others, also to its own user', async () => {
    const user = await register(service);
    await service.roles.assignRole({ userId: user.id, role: 'admin' });
    const token = await keyOf(service, { userId: user.id }, ['identity.users.write']);
    await denied(service.users.deactivateUser({ userId: user.id }, { token }));
  });

  it('a key of an administrator that can do no more than the caller is revoked by them', async () => {
    const { id } = await programInRoles(service, ['admin']);
    const { apiKey } = await service.apiKeys.createApiKey({ serviceAccountId: id, name: 'x', scopes: ['identity.users.read'] });
    const { key } = await programWith(service, ['identity.api_keys.write', 'identity.users.read']);
    await service.apiKeys.revokeApiKey({ apiKeyId: required(apiKey).id }, { token: key });
  });

  it('who becomes an administrator while somebody deletes them is deleted before, or not at all', async () => {
    const { key } = await programWith(service, ['identity.users.delete']);
    for (let round = 1; round <= 10; round++) {
      const { id: userId } = await register(service);
      const [deleted, assigned] = await atOnce(2, (index) =>
        index === 0 ? service.users.deleteUser({ userId }, { token: key }) : service.roles.assignRole({ userId, role: 'admin' }),
      );
      expect([deleted?.status, assigned?.status].sort()).toEqual(['fulfilled', 'rejected']);
    }
  });
});

/** The document of a user, but for what is written down about the calls themselves. */
function withoutTrail({ document }: { document?: unknown }): unknown {
  const { audit_events: _, events: __, ...rest } = document as Record<string, unknown>;
  return rest;
}
