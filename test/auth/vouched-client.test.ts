import { describe, expect, it } from 'vitest';
import { auditEvents, DEVICE } from '../support/audit.ts';
import { newEmail, PASSWORD, register, required, signedIn } from '../support/builders.ts';
import { expectStatus } from '../support/expect-status.ts';
import { programWith } from '../support/grants.ts';
import { useService } from '../support/service.ts';

const service = useService();

const LOGIN = ['identity.auth.login', 'identity.auth.register'];
const { ipAddress, ...REST } = DEVICE;
/** Where the tests call from. */
const PEER = '127.0.0.1';

/** What each kind of caller leaves behind where it says that its end user is at DEVICE. */
const CALLERS: [string, { token(): Promise<string>; known: string | null }][] = [
  [
    'a service account that may vouch: what it says',
    { token: async () => (await programWith(service, [...LOGIN, 'identity.clients.vouch'])).key, known: ipAddress },
  ],
  ['a service account that may not: none', { token: async () => (await programWith(service, LOGIN)).key, known: null }],
  ['a user who calls directly: where the connection comes from', { token: () => tokenOfUserIn('service'), known: PEER }],
  ['a user who may do everything: the same', { token: () => tokenOfUserIn('admin'), known: PEER }],
];

async function tokenOfUserIn(role: string): Promise<string> {
  const { user, tokens } = await signedIn(service);
  await service.roles.assignRole({ role, userId: user.id });
  return tokens.accessToken;
}

async function sessionsOf(userId: string) {
  return (await service.sessions.listSessions({ userId })).sessions;
}

describe('the address of the end user, as told by', () => {
  it.each(CALLERS)('%s', async (_, { token: tokenOf, known }) => {
    const token = await tokenOf();
    const email = newEmail();
    const { user } = await service.auth.register({ email, password: PASSWORD, client: DEVICE }, { token });
    const { id } = required(user);
    const wrong = service.auth.login({ email, password: 'wrong', client: DEVICE }, { token });
    await expectStatus(wrong, 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
    await service.auth.login({ email, password: PASSWORD, client: DEVICE }, { token });

    for (const type of ['user.created', 'user.login_failed', 'user.login']) {
      expect(await auditEvents(service, type, id)).toMatchObject([{ ipAddress: known, ...REST }]);
    }
    expect(await sessionsOf(id)).toMatchObject([{ client: { ipAddress: known ?? '', ...REST } }]);
  });

  it.each(CALLERS)('%s (RefreshToken)', async (_, { token: tokenOf, known }) => {
    const token = await tokenOf();
    const { id, email } = await register(service);
    const client = { ipAddress: '198.51.100.1' };
    const { tokens } = await service.auth.login({ email, password: PASSWORD, client });
    await service.auth.refreshToken({ refreshToken: required(tokens).refreshToken, client: DEVICE }, { token });
    // Of whom nothing is known nothing is written: the address of the login stays.
    expect(await sessionsOf(id)).toMatchObject([{ client: { ipAddress: known ?? client.ipAddress, ...REST } }]);
  });

  it('nobody: where a user calls directly and says nothing, it is known all the same', async () => {
    const token = await tokenOfUserIn('service');
    const { id, email } = await register(service);
    await service.auth.login({ email, password: PASSWORD }, { token });
    expect(await sessionsOf(id)).toMatchObject([{ client: { ipAddress: PEER, userAgent: '', deviceName: '' } }]);
  });

  it.each([
    ['2001:0DB8:0:0:0:0:0:7', '2001:db8::7'],
    ['::FFFF:203.0.113.7', '203.0.113.7'],
    ['::ffff:cb00:7107', '203.0.113.7'],
  ])('a backend, in any spelling: %s is kept as %s', async (given, kept) => {
    const { id, email } = await register(service);
    await service.auth.login({ email, password: PASSWORD, client: { ipAddress: given } });
    expect(await sessionsOf(id)).toMatchObject([{ client: { ipAddress: kept } }]);
    expect(await auditEvents(service, 'user.login', id)).toMatchObject([{ ipAddress: kept }]);
  });
});
