import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { atOnce, newEmail, newUsername, PASSWORD, register, required } from '../support/builders.ts';
import { decode, expectStatus } from '../support/expect-status.ts';
import { keyOf, roleWith } from '../support/grants.ts';
import { useMailbox } from '../support/mailbox.ts';
import { dump, requestCode, requestReset, SUBJECTS, untilMailsAreSent, verificationToken } from '../support/mails.ts';
import { rows } from '../support/rows.ts';
import { useService } from '../support/service.ts';
import { expectDead, isActive } from '../support/sessions.ts';
import { PROMISED_MS, staleFor } from '../support/staleness.ts';

/** Addresses whose mails the mail server does not take yet. */
const closed = new Set<string>();
const later = Object.assign(new Error('try again later'), { responseCode: 450 });
const mailbox = useMailbox({ onRcptTo: ({ address }, _session, done) => done(closed.has(address) ? later : undefined) });
const service = useService(() => ({ SMTP_URL: mailbox.url() }));

/** Where the tests call from, and so where a user is who calls directly. */
const PEER = '127.0.0.1';

/** Of rows that hang on a user, which part of the receipt tells. */
const KINDS: Readonly<Record<string, string>> = {
  profiles: 'profile',
  sessions: 'sessions',
  password_history: 'password_history',
  api_keys: 'api_keys',
  known_devices: 'known_devices',
  device_tokens: 'device_tokens',
  attempted_identifiers: 'attempted_identifiers',
  one_time_tokens: 'one_time_tokens',
  email_changes: 'email_changes',
  mails: 'mails',
  user_roles: 'roles',
};

/** Every table that hangs on users, by reference or by id, and how many rows of it belong to this one; but for the events (see ADR 9). */
async function rowsOf(userId: string): Promise<Map<string, number>> {
  const tables = await rows<{ name: string }>(
    service,
    `select table_name::text as name from information_schema.columns
     where table_schema = 'public' and column_name = 'user_id' and table_name <> 'events' order by 1`,
  );
  const counts = new Map<string, number>();
  for (const { name } of tables) counts.set(name, (await rows(service, `select 1 from ${name} where user_id = $1`, [userId])).length);
  return counts;
}

/** Somebody who has left traces wherever a user can, with a word in all of them that nobody else has. */
async function experienced() {
  const word = randomUUID().slice(0, 8);
  const client = { ipAddress: '203.0.113.77', userAgent: `Agent ${word}`, deviceName: `Phone of ${word}` };
  const elsewhere = { ipAddress: '2001:db8::77', userAgent: `Other ${word}` };
  const email = `Person.${word}@example.com`.toLowerCase();
  const username = newUsername();
  const profile = {
    firstName: `First${word}`,
    lastName: `Last${word}`,
    bio: `Bio ${word}`,
    phone: '+41446681877',
    avatarUrl: `https://example.com/${word}.png`,
    birthDate: { year: 1987, month: 6, day: 5 },
  };
  const { user } = await service.auth.register({ email, password: PASSWORD, username, profile, client });
  const { id } = required(user);
  await service.auth.verifyEmail({ verificationToken: await verificationToken(mailbox, email), password: PASSWORD });
  await service.roles.assignRole({ userId: id, role: await roleWith(service, ['identity.users.read', 'identity.users.delete']) });

  await expectStatus(service.auth.login({ email, password: 'wrong', client }), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
  await expectStatus(service.auth.login({ username, password: 'wrong', client: elsewhere }), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
  const first = required((await service.auth.login({ email, password: PASSWORD, client })).tokens);
  const apiKey = await keyOf(service, { userId: id });
  await service.apiKeys.createApiKey({ userId: id, name: `Key of ${word}` });
  const token = first.accessToken;
  const newPassword = 'an entirely different secret';
  await service.users.updateUser({ user: { id, profile: { bio: `Bio ${word} 2` } } }, { token });
  await expectStatus(service.users.unlockUser({ userId: randomUUID() }, { token }), 'PERMISSION_DENIED', 'PERMISSION_DENIED');
  await service.auth.changePassword({ userId: id, currentPassword: PASSWORD, newPassword, revokeApiKeys: false }, { token });
  const second = required((await service.auth.login({ username, password: newPassword, client: elsewhere })).tokens);
  const refreshed = required((await service.auth.refreshToken({ refreshToken: second.refreshToken, client: elsewhere })).tokens);
  await expectStatus(service.auth.login({ email, password: 'wrong', client }), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
  // Asked for, mailed, and not used.
  const reset = await requestReset(service, mailbox, email);
  const code = await requestCode(service, mailbox, email);
  await service.auth.requestEmailVerification({ email, client });
  await service.auth.requestEmailChange({ userId: id, newEmail: `New.${word}@example.com`, client });
  await untilMailsAreSent(service);
  // Asked for, and not mailed yet. A kind of mail goes to an address once a minute.
  service.clock.advance(60);
  closed.add(email);
  await service.auth.requestPasswordReset({ email, client: elsewhere });
  await service.auth.requestLoginCode({ email, client });
  await expect.poll(() => rows(service, 'select 1 from mails where user_id = $1 and attempts > 0', [id])).toHaveLength(2);

  const traces = [word, email, username, profile.phone, '1987-06-05', client.ipAddress, elsewhere.ipAddress];
  return { id, email, username, tokens: [first, refreshed], apiKey, reset, code, traces };
}

async function tracesIn(traces: readonly string[]): Promise<string[]> {
  const everything = (await dump(service)).toLowerCase();
  return traces.filter((trace) => everything.includes(trace.toLowerCase()));
}

describe('the erasure of somebody with everything', () => {
  it('leaves nothing of them in the database, tells them by mail, and says truly what is gone', async () => {
    const { id, email, username, tokens, apiKey, reset, code, traces } = await experienced();
    await expect.poll(() => rows(service, `select 1 from audit_events where type = 'call.refused' and user_id = $1`, [id])).toHaveLength(1);
    expect(await tracesIn(traces)).toEqual(traces);
    const before = await rowsOf(id);
    for (const [table, count] of before) expect([table, count > 0]).toEqual([table, true]);
    expect([...before.keys()].filter((table) => KINDS[table] === undefined)).toEqual(['audit_events']);

    // Used just before, so that whatever is remembered of them is fresh.
    for (const { accessToken } of tokens) expect(await isActive(service, accessToken)).toBe(true);
    for (const token of [required(tokens[0]).accessToken, apiKey]) await service.auth.getCaller({}, { token });

    closed.delete(email);
    const { receipt } = await service.users.deleteUser({ userId: id });

    for (const pair of tokens) await expectDead(service, pair);
    for (const { accessToken } of tokens) {
      await expectStatus(service.auth.getCaller({}, { token: accessToken }), 'UNAUTHENTICATED', 'CALLER_UNAUTHENTICATED');
    }
    expect((await service.apiKeys.introspectApiKey({ key: apiKey })).active).toBe(false);
    // Whom a key stands for is remembered for as long as that.
    const isKnown = () =>
      service.auth.getCaller({}, { token: apiKey }).then(
        () => true,
        () => false,
      );
    expect(await staleFor(isKnown)).toBeLessThanOrEqual(PROMISED_MS);
    await expectStatus(service.auth.getCaller({}, { token: apiKey }), 'UNAUTHENTICATED', 'CALLER_UNAUTHENTICATED');

    const deleted = Object.fromEntries(required(receipt).deleted.map(({ kind, count }) => [kind, count]));
    for (const [table, kind] of Object.entries(KINDS)) expect([kind, deleted[kind]]).toEqual([kind, before.get(table)]);
    expect(deleted.user).toBe(1);
    expect(required(receipt).kept).toMatchObject([{ kind: 'audit_events', count: before.get('audit_events') }]);

    const last = await mailbox.mail(email, SUBJECTS.erased);
    expect(last.text).toContain(email);
    await untilMailsAreSent(service);
    expect(mailbox.to(email).at(-1)).toBe(last);
    expect(await tracesIn(traces)).toEqual([]);
    // Whoever follows the events must be told who is gone: the id is all that is left, and only there.
    const holders = (await rowsOf(id)).entries().filter(([, count]) => count > 0);
    expect([...holders]).toEqual([]);
    expect(await rows(service, 'select 1 from audit_events where row(audit_events)::text like $1', [`%${id}%`])).toEqual([]);

    await expectStatus(
      service.auth.resetPassword({ resetToken: reset, newPassword: 'yet another secret' }),
      'UNAUTHENTICATED',
      'INVALID_RESET_TOKEN',
    );
    await expectStatus(service.auth.loginWithCode({ email, code }), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');

    const again = await register(service, { email, username });
    expect(again.id).not.toBe(id);
    await verificationToken(mailbox, email, 2);
  });

  it('leaves nothing either where they ask for it themselves', async () => {
    const { id, email, tokens, traces } = await experienced();
    closed.delete(email);
    await service.users.deleteUser({ userId: id }, { token: required(tokens[0]).accessToken });
    await mailbox.mail(email, SUBJECTS.erased);
    await untilMailsAreSent(service);
    expect(await tracesIn(traces)).toEqual([]);
  });

  it('holds the address for the last mail under a seal, until it is sent or given up', async () => {
    const { id, email } = await register(service);
    await untilMailsAreSent(service);
    closed.add(email);
    await service.users.deleteUser({ userId: id });
    const pending = () =>
      rows<{ data: Record<string, string>; user_id: unknown }>(service, `select data, user_id from mails where attempts > 0`);
    await expect.poll(pending).toHaveLength(1);
    expect(await pending()).toEqual([{ user_id: null, data: { recipient: expect.any(String) } }]);
    expect(await tracesIn([email, Buffer.from(email).toString('base64').slice(0, -4), Buffer.from(email).toString('hex')])).toEqual([]);
    closed.delete(email);
    service.clock.advance(3600);
    await mailbox.mail(email, SUBJECTS.erased);
    await untilMailsAreSent(service);
    expect(await rows(service, `select 1 from events where payload ? 'recipient'`)).toEqual([]);
  });

  it('and whatever is asked for by mail at the same time get along', async () => {
    for (let round = 0; round < 6; round++) {
      const { id, email } = await register(service);
      const code = await requestCode(service, mailbox, email);
      const token = await requestReset(service, mailbox, email);
      const actions: (() => Promise<unknown>)[] = [
        () => service.auth.requestPasswordReset({ email }),
        () => service.auth.loginWithCode({ email, code }),
        () => service.auth.loginWithCode({ email, code: '00000000' }),
        () => service.auth.resetPassword({ resetToken: token, newPassword: 'yet another secret' }),
        () => service.auth.requestLoginCode({ email }),
        () => service.auth.requestEmailVerification({ email }),
      ];
      actions.splice(round, 0, () => service.users.deleteUser({ userId: id }));
      const results = await atOnce<unknown>(actions.length, async (index) => actions[index]?.());
      const reasons = results.flatMap((result) => (result.status === 'rejected' ? [decode(result.reason).reason] : []));
      for (const reason of reasons) expect(['INVALID_CREDENTIALS', 'INVALID_RESET_TOKEN']).toContain(reason);
      await untilMailsAreSent(service);
      expect(await tracesIn([email])).toEqual([]);
    }
  });
});

describe('the audit trail of what somebody did to others', () => {
  it('does not keep their address when they are erased', async () => {
    const { id, email } = await register(service);
    await service.roles.assignRole({ userId: id, role: 'admin' });
    const token = required((await service.auth.login({ email, password: PASSWORD })).tokens).accessToken;
    const userAgent = `Agent of ${randomUUID()}`;
    const { user: other } = await service.auth.register({ email: newEmail(), client: { userAgent } }, { token });
    const events = () =>
      rows(service, `select actor, ip_address, user_agent from audit_events where user_id = $1 and type = 'user.created'`, [
        required(other).id,
      ]);
    expect(await events()).toEqual([{ actor: `user:${id}`, ip_address: PEER, user_agent: userAgent }]);
    await service.users.deleteUser({ userId: id });
    expect(await events()).toEqual([{ actor: 'erased user', ip_address: null, user_agent: null }]);
  });
});
