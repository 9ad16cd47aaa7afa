import { describe, expect, it } from 'vitest';
import { CREDENTIAL_KINDS, type CredentialKind } from '../../../src/auth/credentials/credential-policy.ts';
import { CredentialKind as Kind } from '../../../src/gen/identity/v1/user_service.ts';
import { DEVICE } from '../../support/audit.ts';
import { newEmail, PASSWORD, register, registerVerified, required } from '../../support/builders.ts';
import { expectInvalid, expectStatus, failureOf } from '../../support/expect-status.ts';
import { keyOf } from '../../support/grants.ts';
import { useMailbox } from '../../support/mailbox.ts';
import { changeEmail, requestCode, requestEmailChange, requestReset, verificationToken } from '../../support/mails.ts';
import { rows } from '../../support/rows.ts';
import { useService } from '../../support/service.ts';
import { isActive } from '../../support/sessions.ts';

const mailbox = useMailbox();
const service = useService(() => ({ SMTP_URL: mailbox.url() }));

const NEW = 'an entirely different secret';

/** Leaves a change of the email without the proof that it is: the table knows kinds, not how likely they are together. */
async function unverify(id: string, email: string): Promise<void> {
  await rows(service, 'update users set email_verified_at = null where id = $1', [id]);
  await service.auth.requestEmailVerification({ email });
}

/** An account with something of every kind, and what tells whether each of it still opens the door. */
async function accountWithEverything(create = registerVerified) {
  const { id, email: oldEmail } = await create(service);
  const email = newEmail();
  const revertToken = await changeEmail(service, mailbox, { id, email: oldEmail }, email);
  if (create === register) await unverify(id, email);
  const login = () => service.auth.login({ email, password: PASSWORD, client: DEVICE });
  const session = required((await login()).tokens);
  const own = required((await login()).tokens);
  const key = await keyOf(service, { userId: id });
  const resetToken = await requestReset(service, mailbox, email);
  const code = await requestCode(service, mailbox, email);
  const emailChangeToken = await requestEmailChange(service, mailbox, id, newEmail());
  const count = async (sql: string) => (await rows(service, sql, [id])).length;
  const works: Readonly<Record<CredentialKind, () => Promise<boolean>>> = {
    password: async () => (await count('select 1 from users where id = $1 and password_hash is not null')) === 1,
    sessions: () => isActive(service, session.accessToken),
    api_keys: async () => (await service.apiKeys.introspectApiKey({ key })).active,
    links: async () =>
      (await count('select 1 from one_time_tokens where user_id = $1')) +
        (await count('select 1 from email_changes where user_id = $1 and confirmed_at is null')) >
      0,
    revert_links: async () => (await count('select 1 from email_changes where user_id = $1 and confirmed_at is not null')) > 0,
    known_devices: async () => (await count('select 1 from known_devices where user_id = $1')) > 0,
    device_tokens: async () => (await count('select 1 from device_tokens where user_id = $1')) > 0,
  };
  const left = async () => {
    const kinds = await Promise.all(CREDENTIAL_KINDS.map(async (kind) => ((await works[kind]()) ? [kind] : [])));
    return kinds.flat();
  };
  expect(await left()).toEqual(CREDENTIAL_KINDS);
  return { id, email, own, session, key, resetToken, code, emailChangeToken, revertToken, left };
}

type Account = Awaited<ReturnType<typeof accountWithEverything>>;

const changePassword = ({ id, own }: Account, options: { revokeApiKeys?: boolean } = {}) =>
  service.auth.changePassword({ userId: id, currentPassword: PASSWORD, newPassword: NEW, ...options }, { token: own.accessToken });

/** Written by hand: each event, and the kinds that it leaves. A new kind has to be placed here for every event. */
const EVENTS: readonly (readonly [event: string, act: (account: Account) => Promise<unknown>, left: readonly CredentialKind[]])[] = [
  ['ChangePassword', (account) => changePassword(account), ['password', 'known_devices', 'device_tokens', 'revert_links']],
  [
    'ChangePassword that keeps the keys',
    (account) => changePassword(account, { revokeApiKeys: false }),
    ['password', 'api_keys', 'known_devices', 'device_tokens', 'revert_links'],
  ],
  [
    'ResetPassword',
    ({ resetToken }) => service.auth.resetPassword({ resetToken, newPassword: NEW }),
    ['password', 'known_devices', 'revert_links'],
  ],
  [
    'ConfirmEmailChange',
    ({ emailChangeToken }) => service.auth.confirmEmailChange({ emailChangeToken }),
    ['password', 'api_keys', 'known_devices', 'device_tokens', 'revert_links'],
  ],
  // The link that is used is gone, and it was the only one.
  ['RevertEmailChange', ({ revertToken }) => service.auth.revertEmailChange({ revertToken }), []],
  [
    'RevokeAllSessions',
    ({ id }) => service.sessions.revokeAllSessions({ userId: id }),
    ['password', 'api_keys', 'links', 'known_devices', 'device_tokens', 'revert_links'],
  ],
  [
    'RevokeAllSessions with the keys',
    ({ id }) => service.sessions.revokeAllSessions({ userId: id, revokeApiKeys: true }),
    ['password', 'links', 'known_devices', 'device_tokens', 'revert_links'],
  ],
  [
    'RevokeEverySession',
    () => service.sessions.revokeEverySession({}),
    ['password', 'api_keys', 'links', 'known_devices', 'device_tokens', 'revert_links'],
  ],
  [
    'DeactivateUser and ReactivateUser',
    async ({ id }) => {
      await service.users.deactivateUser({ userId: id });
      await service.users.reactivateUser({ userId: id });
    },
    ['password', 'api_keys', 'known_devices', 'device_tokens', 'revert_links'],
  ],
  ['DeleteUser', ({ id }) => service.users.deleteUser({ userId: id }), []],
  [
    'RevokeCredentials of one kind',
    ({ id }) => revoke(id, [Kind.CREDENTIAL_KIND_LINKS]),
    ['password', 'sessions', 'api_keys', 'known_devices', 'device_tokens', 'revert_links'],
  ],
  ['RevokeCredentials of all kinds', ({ id }) => revoke(id, ALL_KINDS), []],
];

const verify = async ({ email }: Account, password?: string, token?: string) =>
  service.auth.verifyEmail({ verificationToken: await verificationToken(mailbox, email), ...(password && { password }) }, { token });

/** The same for the first proof of the mailbox, on accounts that were never verified. The link itself may be opened again. */
const FIRST_PROOFS: typeof EVENTS = [
  ['LoginWithCode', ({ email, code }) => service.auth.loginWithCode({ email, code }), ['device_tokens', 'revert_links']],
  ['ResetPassword', ({ resetToken }) => service.auth.resetPassword({ resetToken, newPassword: NEW }), ['password', 'revert_links']],
  ['VerifyEmail by a backend', (account) => verify(account), ['links', 'revert_links']],
  [
    'VerifyEmail in a session that began with the password',
    (account) => verify(account, undefined, account.own.accessToken),
    ['password', 'links', 'revert_links'],
  ],
  ['VerifyEmail with the password', (account) => verify(account, PASSWORD), CREDENTIAL_KINDS],
];

const ALL_KINDS = [
  Kind.CREDENTIAL_KIND_PASSWORD,
  Kind.CREDENTIAL_KIND_SESSIONS,
  Kind.CREDENTIAL_KIND_API_KEYS,
  Kind.CREDENTIAL_KIND_LINKS,
  Kind.CREDENTIAL_KIND_KNOWN_DEVICES,
  Kind.CREDENTIAL_KIND_DEVICE_TOKENS,
  Kind.CREDENTIAL_KIND_REVERT_LINKS,
];

const revoke = (userId: string, kinds: Kind[]) => service.users.revokeCredentials({ userId, kinds });

describe('credentials', () => {
  it.each(EVENTS)('%s leaves what the table says, and nothing else', async (_event, act, left) => {
    const account = await accountWithEverything();
    await act(account);
    await expect.poll(account.left).toEqual(left);
  });

  it.each(FIRST_PROOFS)('%s, as the first proof of a mailbox, leaves what the table says, and nothing else', async (_event, act, left) => {
    const account = await accountWithEverything(register);
    await act(account);
    await expect.poll(account.left).toEqual(left);
  });

  it.each(FIRST_PROOFS.filter(([name]) => name !== 'ResetPassword'))(
    '%s ends no credential of an account that was verified before',
    async (_event, act) => {
      const account = await accountWithEverything(register);
      await rows(service, 'update users set email_verified_at = now() where id = $1', [account.id]);
      await act(account);
      expect((await account.left()).filter((kind) => kind !== 'links')).toEqual(CREDENTIAL_KINDS.filter((kind) => kind !== 'links'));
    },
  );

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
