import { randomUUID } from 'node:crypto';
import { createFileRegistry, fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { beforeAll, describe, expect, test } from 'vitest';
import type { User } from '../../src/gen/identity/v1/user.ts';
import { DESCRIPTORS } from '../../src/rpc/descriptors.ts';
import { logIn, register } from '../support/builders.ts';
import type { CallSettings, Clients } from '../support/client.ts';
import { failureOf } from '../support/expect-status.ts';
import { keyOf, programInRoles, roleWith } from '../support/grants.ts';
import { importUsers } from '../support/import-users.ts';
import { useService } from '../support/service.ts';
import { refresh } from '../support/sessions.ts';

/**
 * The columns, in this order. `self` and `other`: an end user who has just signed in, about themself and about somebody else; `stale`: one
 * whose sign-in is too old for what takes a fresh one, about themself; `key`: an API key of a user, about
 * that user; `scoped`: one that is limited to identity.users.read, about its own user; `reads`: an administrator's key that is limited to
 * identity.users.read; then service accounts by their roles.
 */
const CALLERS = ['anonymous', 'self', 'other', 'stale', 'key', 'scoped', 'reads', 'roleless', 'reader', 'service', 'admin'] as const;
type CallerKind = (typeof CALLERS)[number];

/** Written by hand: y may, r may after a reauthentication, - may not. */
const TABLE: Readonly<Record<string, string>> = {
  'UserService.CreateUser': '- - - - - - - - - - y',
  'UserService.GetUser': '- y - y y y y - y y y',
  'UserService.BatchGetUsers': '- - - - - y y - y y y',
  'UserService.LookupUser': '- - - - - y y - y y y',
  'UserService.ListUsers': '- - - - - y y - y y y',
  'UserService.UpdateUser': '- y - r r - - - - - y',
  'UserService.DeactivateUser': '- - - - - - - - - - y',
  'UserService.ReactivateUser': '- - - - - - - - - - y',
  'UserService.RevokeCredentials': '- - - - - - - - - - y',
  'UserService.UnlockUser': '- - - - - - - - - - y',
  'UserService.DeleteUser': '- - - - - - - - - - y',
  'UserService.ExportUser': '- y - r r - - - - - y',
  'UserService.ImportUsers': '- - - - - - - - - - y',
  'AuthService.Register': '- - - - - - - - - y y',
  'AuthService.Login': '- - - - - - - - - y y',
  'AuthService.RefreshToken': '- - - - - - - - - y y',
  'AuthService.Logout': '- - - - - - - - - y y',
  'AuthService.IntrospectToken': '- - - - - - - - y y y',
  'AuthService.ChangePassword': '- y - y y - - - - y y',
  'AuthService.GetPasswordPolicy': '- y y y y y y y y y y',
  // Anybody, but about the passwords of a user only who may change them (see check-password.test.ts).
  'AuthService.CheckPassword': '- y y y y y y y y y y',
  'AuthService.RequestEmailVerification': '- - - - - - - - - y y',
  // Users may verify their own; the link of somebody else does not exist for them (see first-proof.test.ts).
  'AuthService.VerifyEmail': '- y y y y - - - - y y',
  'AuthService.RequestEmailChange': '- y - r r - - - - - y',
  // Users may confirm their own; the link of somebody else does not exist for them.
  'AuthService.ConfirmEmailChange': '- y y y y - - - - y y',
  'AuthService.RevertEmailChange': '- - - - - - - - - y y',
  'AuthService.RequestPasswordReset': '- - - - - - - - - y y',
  'AuthService.ResetPassword': '- - - - - - - - - y y',
  'AuthService.RequestLoginCode': '- - - - - - - - - y y',
  'AuthService.LoginWithCode': '- - - - - - - - - y y',
  // An access token of an end user, which the use case sees to (see reauthenticate.test.ts).
  'AuthService.Reauthenticate': '- y y y y y y y y y y',
  'AuthService.GetCaller': '- y y y y y y y y y y',
  'SessionService.ListSessions': '- y - y y - - - y y y',
  // Users may call for what is theirs; what is not does not exist for them (see callers.test.ts).
  'SessionService.RevokeSession': '- y y y y - - - - y y',
  'SessionService.RevokeAllSessions': '- y - y y - - - - y y',
  'SessionService.RevokeEverySession': '- - - - - - - - - - y',
  'RoleService.CreateRole': '- - - - - - - - - - y',
  'RoleService.GetRole': '- - - - - - - - y y y',
  'RoleService.ListRoles': '- - - - - - - - y y y',
  'RoleService.UpdateRole': '- - - - - - - - - - y',
  'RoleService.DeleteRole': '- - - - - - - - - - y',
  'RoleService.AssignRole': '- - - - - - - - - - y',
  'RoleService.UnassignRole': '- - - - - - - - - - y',
  'RoleService.CheckPermission': '- y - y y - - - y y y',
  'RoleService.ListPermissions': '- - - - - - - - y y y',
  'ServiceAccountService.CreateServiceAccount': '- - - - - - - - - - y',
  'ServiceAccountService.GetServiceAccount': '- - - - - - - - y - y',
  'ServiceAccountService.ListServiceAccounts': '- - - - - - - - y - y',
  'ServiceAccountService.DeleteServiceAccount': '- - - - - - - - - - y',
  'ApiKeyService.CreateApiKey': '- y - r r - - - - - y',
  'ApiKeyService.ListApiKeys': '- y - y y - - - y - y',
  'ApiKeyService.RevokeApiKey': '- y y r r - - - - - y',
  'ApiKeyService.IntrospectApiKey': '- - - - - - - - y y y',
  'AuditService.ListAuditEvents': '- - - - - - - - y - y',
};

const CLIENTS: Readonly<Record<string, Exclude<keyof Clients, 'close'>>> = {
  UserService: 'users',
  AuthService: 'auth',
  SessionService: 'sessions',
  RoleService: 'roles',
  ServiceAccountService: 'serviceAccounts',
  ApiKeyService: 'apiKeys',
  AuditService: 'audit',
};

/** Every RPC of ours that the descriptors know, as the table names it. Anybody may ask for health. */
const RPCS = [...createFileRegistry(fromBinary(FileDescriptorSetSchema, DESCRIPTORS))]
  .filter((type) => type.kind === 'service')
  .filter(({ file }) => file.proto.package === 'identity.v1')
  .flatMap(({ name, methods }) => methods.map((method) => `${name}.${method.name}`));

/** REAUTHENTICATION_MAX_AGE */
const MAX_AGE = 600;

const service = useService();
let user: User;
let other: User;
let scopedUserId: string;
const keys = new Map<CallerKind, string>();

beforeAll(async () => {
  user = await register(service);
  other = await register(service);
  const limited = await register(service);
  await service.roles.assignRole({ userId: limited.id, role: await roleWith(service, ['identity.users.read', 'identity.sessions.read']) });
  for (const role of ['reader', 'service', 'admin'] as const) keys.set(role, (await programInRoles(service, [role])).key);
  keys.set('roleless', (await programInRoles(service, [])).key);
  const admin = await programInRoles(service, ['admin']);
  keys.set('reads', await keyOf(service, { serviceAccountId: admin.id }, ['identity.users.read']));
  keys.set('key', await keyOf(service, { userId: user.id }));
  keys.set('scoped', await keyOf(service, { userId: limited.id }, ['identity.users.read']));
  scopedUserId = limited.id;
});

/** Of a session that was begun too long ago, and refreshed since. */
async function staleTokenOf({ email }: User): Promise<string> {
  const { refreshToken } = await logIn(service, email);
  service.clock.advance(MAX_AGE + 1);
  return (await refresh(service, refreshToken)).accessToken;
}

/** With what a kind of caller calls, and about whom. A user signs in anew for each call: some of the calls end sessions. */
async function arrange(kind: CallerKind): Promise<{ token: string | null; about: string }> {
  switch (kind) {
    case 'anonymous':
      return { token: null, about: user.id };
    case 'self':
      return { token: (await logIn(service, user.email)).accessToken, about: user.id };
    case 'stale':
      return { token: await staleTokenOf(user), about: user.id };
    case 'other':
      return { token: (await logIn(service, user.email)).accessToken, about: other.id };
    case 'key':
      return { token: keys.get(kind) ?? '', about: user.id };
    case 'scoped':
      return { token: keys.get(kind) ?? '', about: scopedUserId };
    default:
      return { token: keys.get(kind) ?? '', about: randomUUID() };
  }
}

/** Calls with nothing but the user it is about, and a change that takes a fresh sign-in, so that most of the calls that are let in fail later, at validation. */
async function cellOf(rpc: string, kind: CallerKind): Promise<string> {
  const { token, about } = await arrange(kind);
  const answer = rpc === 'UserService.ImportUsers' ? importUsers(service, [], { token }) : callUnary(rpc, about, token);
  const failure = await answer.then(
    () => undefined,
    () => failureOf(answer),
  );
  if (failure?.reason === 'CALLER_UNAUTHENTICATED') expect([failure.code, kind]).toEqual(['UNAUTHENTICATED', 'anonymous']);
  if (failure?.reason === 'PERMISSION_DENIED') expect(failure.code).toBe('PERMISSION_DENIED');
  if (failure?.reason === 'REAUTHENTICATION_REQUIRED')
    expect(failure).toMatchObject({ code: 'UNAUTHENTICATED', metadata: { max_age: '600' } });
  switch (failure?.reason) {
    case 'REAUTHENTICATION_REQUIRED':
      return 'r';
    case 'CALLER_UNAUTHENTICATED':
    case 'PERMISSION_DENIED':
      return '-';
    default:
      return 'y';
  }
}

function callUnary(rpc: string, about: string, token: string | null): Promise<unknown> {
  const [serviceName = '', methodName = ''] = rpc.split('.');
  const client = service[CLIENTS[serviceName] ?? 'users'] as unknown as Record<
    string,
    (request: object, settings: CallSettings) => Promise<unknown>
  >;
  const call = client[`${methodName.charAt(0).toLowerCase()}${methodName.slice(1)}`];
  if (!call) throw new Error(`no client for ${rpc}`);
  const update = { user: { id: about }, updateMask: ['username'] };
  return call({ userId: about, ...(methodName === 'UpdateUser' && update) }, { token });
}

test('the table has every RPC of the descriptors, and no other', () => {
  expect(Object.keys(TABLE).sort()).toEqual([...RPCS].sort());
});

describe('who may call', () => {
  test.each(RPCS)('%s', async (rpc) => {
    const row: string[] = [];
    for (const kind of CALLERS) row.push(await cellOf(rpc, kind));
    expect(row.join(' ')).toBe(TABLE[rpc]);
  });
});
