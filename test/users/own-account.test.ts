import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Tokens } from '../../src/gen/identity/v1/tokens.ts';
import type { User } from '../../src/gen/identity/v1/user.ts';
import { logIn, newEmail, PASSWORD, signedIn } from '../support/builders.ts';
import { expectStatus, failureOf } from '../support/expect-status.ts';
import { bookkeeping } from '../support/rows.ts';
import { useService } from '../support/service.ts';
import { expectAlive, expectDead } from '../support/sessions.ts';

const service = useService();

interface SignedIn {
  readonly user: User;
  readonly tokens: Tokens;
}

/** Something that a caller with this token does to somebody. */
type Attempt = (whom: SignedIn, token: string) => Promise<unknown>;

const NEW = 'a new password';

describe('users, with no role at all,', () => {
  it('see themselves', async () => {
    const { user, tokens } = await signedIn(service);
    const { user: found } = await service.users.getUser({ userId: user.id }, { token: tokens.accessToken });
    expect(found).toEqual(user);
  });

  it('change their profile', async () => {
    const { user, tokens } = await signedIn(service);
    const change = { id: user.id, profile: { bio: 'new' } };
    const { user: changed } = await service.users.updateUser({ user: change }, { token: tokens.accessToken });
    expect(changed).toMatchObject({ id: user.id, profile: { bio: 'new' } });
  });

  it('see their sessions, and which of them is this one', async () => {
    const { user, tokens } = await signedIn(service);
    const other = await logIn(service, user.email);
    const { sessions } = await service.sessions.listSessions({ userId: user.id }, { token: tokens.accessToken });
    const current = new Map(sessions.map(({ id, current }) => [id, current]));
    expect(current).toEqual(
      new Map([
        [other.sessionId, false],
        [tokens.sessionId, true],
      ]),
    );
  });

  it('end a session of theirs', async () => {
    const { user, tokens } = await signedIn(service);
    const other = await logIn(service, user.email);
    await service.sessions.revokeSession({ sessionId: other.sessionId }, { token: tokens.accessToken });
    await expectDead(service, other);
    await expectAlive(service, tokens);
  });

  it('end the session in which they call, which then can do nothing more', async () => {
    const { tokens } = await signedIn(service);
    const token = tokens.accessToken;
    await service.sessions.revokeSession({ sessionId: tokens.sessionId }, { token });
    await expectDead(service, tokens);
    const again = service.sessions.revokeSession({ sessionId: tokens.sessionId }, { token });
    await expectStatus(again, 'UNAUTHENTICATED', 'CALLER_UNAUTHENTICATED');
  });

  it('end all their other sessions', async () => {
    const { user, tokens } = await signedIn(service);
    const other = await logIn(service, user.email);
    const request = { userId: user.id, exceptSessionId: tokens.sessionId };
    expect(await service.sessions.revokeAllSessions(request, { token: tokens.accessToken })).toEqual({ revokedCount: 1 });
    await expectDead(service, other);
    await expectAlive(service, tokens);
  });

  it('change their password', async () => {
    const { user, tokens } = await signedIn(service);
    const request = { userId: user.id, currentPassword: PASSWORD, newPassword: NEW };
    await service.auth.changePassword(request, { token: tokens.accessToken });
    await logIn(service, user.email, NEW);
  });

  it('ask what they may do', async () => {
    const { user, tokens } = await signedIn(service);
    const request = { userId: user.id, permission: 'identity.users.read' };
    expect(await service.roles.checkPermission(request, { token: tokens.accessToken })).toEqual({ allowed: false });
  });
});

/** What takes a permission, whomever it is about. */
const NEVER: [string, Attempt][] = [
  ['CreateUser', (_, token) => service.users.createUser({ email: newEmail() }, { token })],
  ['BatchGetUsers', ({ user }, token) => service.users.batchGetUsers({ userIds: [user.id] }, { token })],
  ['LookupUser', ({ user }, token) => service.users.lookupUser({ email: user.email }, { token })],
  ['ListUsers', ({ user }, token) => service.users.listUsers({ filter: { query: user.email } }, { token })],
  ['DeactivateUser', ({ user }, token) => service.users.deactivateUser({ userId: user.id }, { token })],
  ['ReactivateUser', ({ user }, token) => service.users.reactivateUser({ userId: user.id }, { token })],
  ['UnlockUser', ({ user }, token) => service.users.unlockUser({ userId: user.id }, { token })],
  ['DeleteUser', ({ user }, token) => service.users.deleteUser({ userId: user.id }, { token })],
  ['Register', (_, token) => service.auth.register({ email: newEmail() }, { token })],
  ['Login', ({ user }, token) => service.auth.login({ email: user.email, password: PASSWORD }, { token })],
  ['RefreshToken', ({ tokens }, token) => service.auth.refreshToken({ refreshToken: tokens.refreshToken }, { token })],
  ['Logout', ({ tokens }, token) => service.auth.logout({ refreshToken: tokens.refreshToken }, { token })],
  ['IntrospectToken', ({ tokens }, token) => service.auth.introspectToken({ accessToken: tokens.accessToken }, { token })],
  ['AssignRole', ({ user }, token) => service.roles.assignRole({ userId: user.id, role: 'admin' }, { token })],
  ['UnassignRole', ({ user }, token) => service.roles.unassignRole({ userId: user.id, role: 'admin' }, { token })],
  ['GetRole', (_, token) => service.roles.getRole({ name: 'admin' }, { token })],
  ['ListRoles', (_, token) => service.roles.listRoles({}, { token })],
  ['ListAuditEvents', ({ user }, token) => service.audit.listAuditEvents({ filter: { userId: user.id } }, { token })],
];

/** What users may do to themselves. */
const NOT_TO_OTHERS: [string, Attempt][] = [
  ['GetUser', ({ user }, token) => service.users.getUser({ userId: user.id }, { token })],
  ['UpdateUser', ({ user }, token) => service.users.updateUser({ user: { id: user.id, profile: { bio: 'x' } } }, { token })],
  ['ListSessions', ({ user }, token) => service.sessions.listSessions({ userId: user.id }, { token })],
  ['RevokeAllSessions', ({ user }, token) => service.sessions.revokeAllSessions({ userId: user.id }, { token })],
  [
    'ChangePassword',
    ({ user }, token) => service.auth.changePassword({ userId: user.id, currentPassword: PASSWORD, newPassword: NEW }, { token }),
  ],
  ['CheckPermission', ({ user }, token) => service.roles.checkPermission({ userId: user.id, permission: 'a.read' }, { token })],
];

/** All that is known of somebody; refusing a call changes none of it. */
const stateOf = async ({ user }: SignedIn) => [
  await bookkeeping(service, user.id),
  (await service.users.getUser({ userId: user.id })).user,
  (await service.sessions.listSessions({ userId: user.id })).sessions,
];

describe('without a permission, users', () => {
  let self: SignedIn;
  let other: SignedIn;
  beforeAll(async () => {
    [self, other] = [await signedIn(service), await signedIn(service)];
  });

  async function expectDenied(attempt: Attempt, whom: SignedIn): Promise<void> {
    const before = await stateOf(whom);
    await expectStatus(attempt(whom, self.tokens.accessToken), 'PERMISSION_DENIED', 'PERMISSION_DENIED');
    expect(await stateOf(whom)).toEqual(before);
  }

  it.each(NEVER)('cannot call %s, not even about themselves', (_, attempt) => expectDenied(attempt, self));

  it.each([...NEVER, ...NOT_TO_OTHERS])('cannot call %s about others', (_, attempt) => expectDenied(attempt, other));

  it.each(NOT_TO_OTHERS)('cannot tell by %s who exists', async (_, attempt) => {
    const nobody = { ...other, user: { ...other.user, id: randomUUID() } };
    const failures = await Promise.all([other, nobody].map((whom) => failureOf(attempt(whom, self.tokens.accessToken))));
    const [present, absent] = failures.map(({ requestId, ...visible }) => visible);
    expect(present).toEqual(absent);
  });

  it('are told that a session of somebody else does not exist, and it goes on', async () => {
    const failures = [];
    for (const sessionId of [other.tokens.sessionId, randomUUID()]) {
      const call = service.sessions.revokeSession({ sessionId }, { token: self.tokens.accessToken });
      const { requestId, ...visible } = await expectStatus(call, 'NOT_FOUND', 'SESSION_NOT_FOUND');
      failures.push(visible);
    }
    expect(failures[0]).toEqual(failures[1]);
    const { sessions } = await service.sessions.listSessions({ userId: other.user.id });
    expect(sessions.map(({ id }) => id)).toEqual([other.tokens.sessionId]);
  });
});
