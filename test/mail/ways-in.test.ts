import { describe, expect, it } from 'vitest';
import { DEVICE } from '../support/audit.ts';
import { newUsername, PASSWORD, register, required } from '../support/builders.ts';
import { expectStatus } from '../support/expect-status.ts';
import { keyOf, programInRoles, roleWith } from '../support/grants.ts';
import { useMailbox } from '../support/mailbox.ts';
import { SUBJECTS, subjectsTo, untilMailsAreSent } from '../support/mails.ts';
import { rows } from '../support/rows.ts';
import { useService } from '../support/service.ts';
import { refresh } from '../support/sessions.ts';

const mailbox = useMailbox();
const service = useService(() => ({ SMTP_URL: mailbox.url() }));

/** Somebody with a verified address or not, who has got the mail that asks for it. */
async function member(verified: boolean) {
  const user = await register(service, { username: newUsername() });
  // First: who has verified the address is not asked to.
  await mailbox.mail(user.email, SUBJECTS.verification);
  if (verified) await rows(service, 'update users set email_verified_at = now() where id = $1', [user.id]);
  return user;
}

type Member = Awaited<ReturnType<typeof member>>;

/** Seconds; the default. */
const REFRESH_GRACE = 10;

/** The second refresh token is used, and the first one comes back after its grace. */
async function reuseToken({ email }: Pick<Member, 'email'>, client = {}) {
  const { tokens } = await service.auth.login({ email, password: PASSWORD, client });
  const first = required(tokens);
  const second = await refresh(service, first.refreshToken);
  await refresh(service, second.refreshToken);
  service.clock.advance(REFRESH_GRACE + 1);
  await expectStatus(service.auth.refreshToken({ refreshToken: first.refreshToken }), 'UNAUTHENTICATED', 'INVALID_REFRESH_TOKEN');
}

const CHANGES: readonly (readonly [change: string, subject: RegExp, make: (member: Member) => Promise<unknown>])[] = [
  ['an API key is made', /^New API key/, ({ id }) => keyOf(service, { userId: id })],
  [
    'the username changes',
    /^Your username .* was changed$/,
    ({ id }) => service.users.updateUser({ user: { id, username: newUsername() }, updateMask: ['username'] }),
  ],
  [
    'the username is removed',
    /^Your username .* was changed$/,
    ({ id }) => service.users.updateUser({ user: { id }, updateMask: ['username'] }),
  ],
  ['a used refresh token ends a session', /^A session .* was ended$/, (user) => reuseToken(user)],
  [
    'a role is given that administers accounts',
    /may do more now$/,
    async ({ id }) => service.roles.assignRole({ userId: id, role: await roleWith(service, ['invoices.read', 'identity.users.read']) }),
  ],
  ['the role of an administrator is given', /may do more now$/, ({ id }) => service.roles.assignRole({ userId: id, role: 'admin' })],
];

const SILENT: readonly (readonly [change: string, make: (member: Member) => Promise<unknown>])[] = [
  ['a bio changes', ({ id }) => service.users.updateUser({ user: { id, profile: { bio: 'Countess' } } })],
  [
    'the username is sent as it is',
    ({ id, username }) => service.users.updateUser({ user: { id, username: required(username).toUpperCase() }, updateMask: ['username'] }),
  ],
  [
    'a role of a product is given',
    async ({ id }) => service.roles.assignRole({ userId: id, role: await roleWith(service, ['invoices.read']) }),
  ],
  ['a service account gets a key and a role', async () => programInRoles(service, ['admin'])],
];

describe('a user is told by mail when', () => {
  it.each(CHANGES)('%s, once, whether the address is verified or not', async (_, subject, make) => {
    for (const verified of [true, false]) {
      const user = await member(verified);
      await make(user);
      const mail = await mailbox.mail(user.email, subject);
      expect(mail.text).toContain(user.email);
      expect(await subjectsTo(service, mailbox, user.email)).toHaveLength(2);
    }
  });

  it.each(SILENT)('not when %s', async (_, make) => {
    const user = await member(true);
    await make(user);
    expect(await subjectsTo(service, mailbox, user.email)).toHaveLength(1);
  });

  it('an administrator makes a key of theirs, as when they do it themselves', async () => {
    const user = await member(true);
    const { tokens } = await service.auth.login({ email: user.email, password: PASSWORD });
    await service.apiKeys.createApiKey({ userId: user.id, name: 'own' }, { token: required(tokens).accessToken });
    await service.apiKeys.createApiKey({ userId: user.id, name: 'by an administrator' });
    await mailbox.mail(user.email, /^New API key/, 2);
  });

  it('a role is given once: to give it again is nothing new', async () => {
    const user = await member(true);
    await service.roles.assignRole({ userId: user.id, role: 'reader' });
    await service.roles.assignRole({ userId: user.id, role: 'reader' });
    expect(await subjectsTo(service, mailbox, user.email)).toHaveLength(2);
  });
});

describe('what somebody writes who signs up with the address of another', () => {
  it('reaches that address by none of these mails', async () => {
    const username = newUsername();
    const shop = 'visit my shop';
    const { id, email } = await register(service, { username, profile: { fullName: shop } });
    await service.apiKeys.createApiKey({ userId: id, name: shop });
    await service.users.updateUser({ user: { id, username: `${username}.shop` }, updateMask: ['username'] });
    await reuseToken({ email }, { ...DEVICE, deviceName: shop });
    await untilMailsAreSent(service);
    const mails = mailbox.to(email);
    expect(mails).toHaveLength(4);
    for (const { subject, text, html } of mails) expect(`${subject} ${text} ${html}`).not.toContain('shop');
  });

  it('tells who has verified the address on which device the session was', async () => {
    const user = await member(true);
    await reuseToken(user, DEVICE);
    const { text, html } = await mailbox.mail(user.email, /^A session .* was ended$/);
    expect(text).toContain(`Device:  ${DEVICE.deviceName}`);
    expect(`${text} ${html}`).toContain(DEVICE.ipAddress);
  });
});
