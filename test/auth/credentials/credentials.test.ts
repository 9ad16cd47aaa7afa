import { describe, expect, it } from 'vitest';
import { CREDENTIAL_KINDS, type CredentialKind } from '../../../src/auth/credentials/credential-policy.ts';
import { CredentialKind as Kind } from '../../../src/gen/identity/v1/user_service.ts';
import { DEVICE } from '../../support/audit.ts';
import { PASSWORD, register, required } from '../../support/builders.ts';
import { expectInvalid, expectStatus, failureOf } from '../../support/expect-status.ts';
import { keyOf } from '../../support/grants.ts';
import { useMailbox } from '../../support/mailbox.ts';
import { requestCode, requestReset } from '../../support/mails.ts';
import { rows } from '../../support/rows.ts';
import { useService } from '../../support/service.ts';
import { isActive } from '../../support/sessions.ts';

const mailbox = useMailbox();
const service = useService(() => ({ SMTP_URL: mailbox.url() }));

const NEW = 'an entirely different secret';

/** An account with something of every kind, and what tells whether each of it still opens the door. */
async function accountWithEverything() {
  const { id, email } = await register(service);
  const login = () => service.auth.login({ email, password: PASSWORD, client: DEVICE });
  const session = required((await login()).tokens);
  const own = required((await login()).tokens);
  const key = await keyOf(service, { userId: id });
  const resetToken = await requestReset(service, mailbox, email);
  const code = await requestCode(service, mailbox, email);
  const count = async (sql: string) => (await rows(service, sql, [id])).length;
  const works: Readonly<Record<CredentialKind, () => Promise<boolean>>> = {
    password: async () => (await count('select 1 from users where id = $1 and password_hash is not null')) === 1,
    sessions: () => isActive(service, session.accessToken),
    api_keys: async () => (await service.apiKeys.introspectApiKey({ key })).active,
    links: async () => (await count('select 1 from one_time_tokens where user_id = $1')) > 0,
    known_devices: async () => (await count('select 1 from known_devices where user_id = $1')) > 0,
    device_tokens: async () => (await count('select 1 from device_tokens where user_id = $1')) > 0,
  };
  const left = async () => {
    const kinds = await Promise.all(CREDENTIAL_KINDS.map(async (kind) => ((await works[kind]()) ? [kind] : [])));
    return kinds.flat();
  };
  expect(await left()).toEqual(CREDENTIAL_KINDS);
  return { id, email, own, session, key, resetToken, code, left };
}

type Account = Awaited<ReturnType<typeof accountWithEverything>>;

const changePassword = ({ id, own }: Account, options: { revokeApiKeys?: boolean } = {}) =>
  service.auth.changePassword({ userId: id, currentPassword: PASSWORD, newPassword: NEW, ...options }, { token: own.accessToken });

/** Written by hand: each event, and the kinds that it leaves. A new kind has to be placed here for every event. */
const EVENTS: readonly (readonly [event: string, act: (account: Account) => Promise<unknown>, left: readonly CredentialKind[]])[] = [
  ['ChangePassword', (account) => changePassword(account), ['password', 'known_devices', 'device_tokens']],
  [
    'ChangePassword that keeps the keys',
    (account) => changePassword(account, { revokeApiKeys: false }),
    ['password', 'api_keys', 'known_devices', 'device_tokens'],
  ],
  ['ResetPassword', ({ resetToken }) => service.auth.resetPassword({ resetToken, newPassword: NEW }), ['password', 'known_devices']],
  [
    'RevokeAllSessions',
    ({ id }) => service.sessions.revokeAllSessions({ userId: id }),
    ['password', 'api_keys', 'links', 'known_devices', 'device_tokens'],
  ],
  [
    'RevokeAllSessions with the keys',
    ({ id }) => service.sessions.revokeAllSessions({ userId: id, revokeApiKeys: true }),
    ['password', 'links', 'known_devices', 'device_tokens'],
  ],
  [
    'DeactivateUser and ReactivateUser',
    async ({ id }) => {
      await service.users.deactivateUser({ userId: id });
      await service.users.reactivateUser({ userId: id });
    },
    ['password', 'api_keys', 'known_devices', 'device_tokens'],
  ],
  ['DeleteUser', ({ id }) => service.users.deleteUser({ userId: id }), []],
  [
    'RevokeCredentials of one kind',
    ({ id }) => revoke(id, [Kind.CREDENTIAL_KIND_LINKS]),
    ['password', 'sessions', 'api_keys', 'known_devices', 'device_tokens'],
  ],
  ['RevokeCredentials of all kinds', ({ id }) => revoke(id, ALL_KINDS), []],
];

const ALL_KINDS = [
  Kind.CREDENTIAL_KIND_PASSWORD,
  Kind.CREDENTIAL_KIND_SESSIONS,
  Kind.CREDENTIAL_KIND_API_KEYS,
  Kind.CREDENTIAL_KIND_LINKS,
  Kind.CREDENTIAL_KIND_KNOWN_DEVICES,
  Kind.CREDENTIAL_KIND_DEVICE_TOKENS,
];

const revoke = (userId: string, kinds: Kind[]) => service.users.revokeCredentials({ userId, kinds });

describe('credentials', () => {
  it.each(EVENTS)('%s leaves what the table says, and nothing else', async (_event, act, left) => {
    const account = await accountWithEverything();
    await act(account);
    await expect.poll(account.left).toEqual(left);
  });

  it('of the session that changes the password stay', async () => {
    const account = await accountWithEverything();
    await changePassword(account);
    expect(await isActive(service, account.own.accessToken)).toBe(true);
  });

  it('that came by mail before a change of password are refused after it', async () => {
    const account = await accountWithEverything();
    await changePassword(account);
    const { email, code, resetToken } = account;
    await expectStatus(service.auth.loginWithCode({ email, code }), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
    await expectStatus(service.auth.resetPassword({ resetToken, newPassword: PASSWORD }), 'UNAUTHENTICATED', 'INVALID_RESET_TOKEN');
  });

  it('of an API key that was revoked are written down with the reason', async () => {
    const account = await accountWithEverything();
    await changePassword(account);
    const events = await rows(
      service,
      `select metadata->>'reason' as reason from audit_events where type = 'api_key.revoked' and user_id = $1`,
      [account.id],
    );
    expect(events).toEqual([{ reason: 'password_changed' }]);
  });
});

describe('RevokeCredentials', () => {
  it('answers how many of each kind have ended', async () => {
    const { id } = await accountWithEverything();
    const { receipt } = await revoke(id, [Kind.CREDENTIAL_KIND_SESSIONS, Kind.CREDENTIAL_KIND_API_KEYS, Kind.CREDENTIAL_KIND_SESSIONS]);
    expect(receipt).toEqual({
      userId: id,
      revoked: [
        { kind: Kind.CREDENTIAL_KIND_SESSIONS, count: 2 },
        { kind: Kind.CREDENTIAL_KIND_API_KEYS, count: 1 },
      ],
    });
    expect((await revoke(id, [Kind.CREDENTIAL_KIND_SESSIONS])).receipt?.revoked).toEqual([
      { kind: Kind.CREDENTIAL_KIND_SESSIONS, count: 0 },
    ]);
  });

  it('refuses no kinds, and kinds that do not exist', async () => {
    const { id } = await register(service);
    await expectInvalid(revoke(id, []), ['kinds']);
    await expectInvalid(revoke(id, [Kind.CREDENTIAL_KIND_UNSPECIFIED]), ['kinds[0]']);
    await expectInvalid(revoke(id, [999 as Kind]), ['kinds[0]']);
  });

  it('finds no user who is not there', async () => {
    const failure = await failureOf(revoke('00000000-0000-4000-8000-000000000000', [Kind.CREDENTIAL_KIND_LINKS]));
    expect([failure.code, failure.reason]).toEqual(['NOT_FOUND', 'USER_NOT_FOUND']);
  });
});
