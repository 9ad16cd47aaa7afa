import { describe, expect, it } from 'vitest';
import { readAccess } from '../../src/rpc/access.ts';
import { DESCRIPTORS } from '../../src/rpc/descriptors.ts';
import { countEvents } from '../support/audit.ts';
import { logIn, newUsername, PASSWORD, register, required, signedIn } from '../support/builders.ts';
import { expectStatus } from '../support/expect-status.ts';
import { keyOf, programInRoles, roleWith } from '../support/grants.ts';
import { useService } from '../support/service.ts';
import { refresh } from '../support/sessions.ts';

/** REAUTHENTICATION_MAX_AGE */
const MAX_AGE = 100;

const service = useService({ REAUTHENTICATION_MAX_AGE: String(MAX_AGE) });

const mustReauthenticate = async (call: Promise<unknown>) => {
  const { metadata } = await expectStatus(call, 'UNAUTHENTICATED', 'REAUTHENTICATION_REQUIRED');
  expect(metadata).toMatchObject({ max_age: String(MAX_AGE) });
};

/** An account whose sign-in is this old. */
async function signedInBefore(seconds: number) {
  const session = await signedIn(service);
  service.clock.advance(seconds);
  return { ...session, token: session.tokens.accessToken };
}

type Session = Awaited<ReturnType<typeof signedInBefore>>;

/** What takes a fresh sign-in, about oneself. */
const FRESH: readonly (readonly [string, (session: Session, token?: string) => Promise<unknown>])[] = [
  ['CreateApiKey', ({ user, token: own }, token = own) => service.apiKeys.createApiKey({ userId: user.id, name: 'mine' }, { token })],
  [
    'RevokeApiKey',
    async ({ user, token: own }, token = own) => {
      const { apiKey } = await service.apiKeys.createApiKey({ userId: user.id, name: 'mine' });
      return service.apiKeys.revokeApiKey({ apiKeyId: required(apiKey).id }, { token });
    },
  ],
  ['ExportUser', ({ user, token: own }, token = own) => service.users.exportUser({ userId: user.id }, { token })],
  [
    'UpdateUser of the username',
    ({ user, token: own }, token = own) =>
      service.users.updateUser({ user: { id: user.id, username: newUsername() }, updateMask: ['username'] }, { token }),
  ],
  [
    'UpdateUser of the phone number',
    ({ user, token: own }, token = own) =>
      service.users.updateUser({ user: { id: user.id, profile: { phone: '+41446681800' } }, updateMask: ['profile.phone'] }, { token }),
  ],
];

describe('a fresh sign-in', () => {
  it.each(FRESH)('is needed by an end user for %s, and is not older than REAUTHENTICATION_MAX_AGE', async (_, call) => {
    const session = await signedInBefore(MAX_AGE - 5);
    await call(session);
    service.clock.advance(6);
    await mustReauthenticate(call(session));
  });

  it.each(FRESH)('is not got by a refresh, but by a reauthentication, for %s', async (_, call) => {
    const session = await signedInBefore(MAX_AGE + 1);
    const refreshed = await refresh(service, session.tokens.refreshToken);
    await mustReauthenticate(call(session, refreshed.accessToken));
    const { tokens } = await service.auth.reauthenticate({ password: PASSWORD }, { token: refreshed.accessToken });
    await call(session, required(tokens).accessToken);
    // The tokens of before stay as they are: who has stolen one gains nothing.
    await mustReauthenticate(call(session, refreshed.accessToken));
  });

  it.each(FRESH)('is nothing that an API key of the user has, for %s', async (_, call) => {
    const session = await signedInBefore(0);
    await mustReauthenticate(call(session, await keyOf(service, { userId: session.user.id })));
  });

  it.each(FRESH)('is not asked of a service account, for %s', async (_, call) => {
    const { key } = await programInRoles(service, ['admin']);
    const session = await signedInBefore(MAX_AGE + 1);
    await call(session, key);
  });

  it('is needed whoever the call is about', async () => {
    const session = await signedInBefore(0);
    const role = await roleWith(service, ['identity.api_keys.write', 'identity.users.write', 'identity.users.export']);
    await service.roles.assignRole({ userId: session.user.id, role });
    service.clock.advance(MAX_AGE + 1);
    const { token } = session;
    const other = await register(service);
    const { id } = await programInRoles(service, []);
    await mustReauthenticate(service.users.exportUser({ userId: other.id }, { token }));
    await mustReauthenticate(service.apiKeys.createApiKey({ serviceAccountId: id, name: 'x' }, { token }));
    await mustReauthenticate(service.users.updateUser({ user: { id: other.id }, updateMask: ['profile'] }, { token }));
  });

  it('is asked for after the permission', async () => {
    const { token } = await signedInBefore(MAX_AGE + 1);
    const other = await register(service);
    await expectStatus(service.users.exportUser({ userId: other.id }, { token }), 'PERMISSION_DENIED', 'PERMISSION_DENIED');
  });

  it('that is missing is in the audit trail as a refused call', async () => {
    const { user, token } = await signedInBefore(MAX_AGE + 1);
    const before = await countEvents(service, 'call.refused');
    await mustReauthenticate(service.users.exportUser({ userId: user.id }, { token }));
    await expect.poll(() => countEvents(service, 'call.refused')).toBe(before + 1);
  });
});

describe('UpdateUser by an end user whose sign-in is old', () => {
  type Update = Parameters<typeof service.users.updateUser>[0];

  it.each<[string, (id: string) => Update]>([
    ['a mask with the username', (id) => ({ user: { id }, updateMask: ['profile.bio', 'username'] })],
    ['a mask with the phone number', (id) => ({ user: { id }, updateMask: ['profile.phone'] })],
    ['a mask with all of the profile', (id) => ({ user: { id }, updateMask: ['profile'] })],
    ['a mask with everything', (id) => ({ user: { id }, updateMask: ['*'] })],
    ['a username and no mask', (id) => ({ user: { id, username: newUsername() } })],
    ['a phone number and no mask', (id) => ({ user: { id, profile: { phone: '+41446681800' } } })],
  ])('is refused with %s', async (_, update) => {
    const { user, token } = await signedInBefore(MAX_AGE + 1);
    const before = await service.users.getUser({ userId: user.id });
    await mustReauthenticate(service.users.updateUser(update(user.id), { token }));
    expect(await service.users.getUser({ userId: user.id })).toEqual(before);
  });

  it.each<[string, (id: string) => Update]>([
    ['a mask with the bio', (id) => ({ user: { id, profile: { bio: 'x' } }, updateMask: ['profile.bio'] })],
    ['a mask that leaves out the username that is there', (id) => ({ user: { id, username: newUsername() }, updateMask: ['profile.bio'] })],
    ['a bio and no mask', (id) => ({ user: { id, profile: { bio: 'x' } } })],
    ['an empty username and no mask', (id) => ({ user: { id, username: '', profile: { bio: 'x', phone: '' } } })],
  ])('is let in with %s', async (_, update) => {
    const { user, token } = await signedInBefore(MAX_AGE + 1);
    const { user: updated } = await service.users.updateUser(update(user.id), { token });
    expect(updated?.username).toBeUndefined();
  });
});

it('a login is a fresh sign-in', async () => {
  const { user } = await signedInBefore(MAX_AGE + 1);
  const token = (await logIn(service, user.email)).accessToken;
  await service.users.exportUser({ userId: user.id }, { token });
});

it('what takes a fresh sign-in is said so by the RPC in its proto, and by no other', () => {
  const fresh = [...readAccess(DESCRIPTORS)].filter(([, access]) => access.fresh || access.freshPaths.length > 0);
  expect(fresh.map(([path, { freshPaths }]) => [path.split('/').at(-1), ...freshPaths.map(({ inMask }) => inMask)]).sort()).toEqual([
    ['CreateApiKey'],
    ['ExportUser'],
    ['RequestEmailChange'],
    ['RevokeApiKey'],
    ['UpdateUser', 'username', 'profile.phone'],
  ]);
});
