import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { atOnce, logIn, newEmail, newUsername, PASSWORD, register, required, signedIn } from '../support/builders.ts';
import { decode, expectInvalid, expectStatus } from '../support/expect-status.ts';
import { holdUser, untilBlocked } from '../support/locks.ts';
import { untilNoMailIsPending } from '../support/mailbox.ts';
import { rows, totals, whileInsertsFail } from '../support/rows.ts';
import { useService } from '../support/service.ts';

const service = useService();

const erase = (userId: string) => service.users.deleteUser({ userId });

const TABLES = [
  'users',
  'profiles',
  'sessions',
  'password_history',
  'user_roles',
  'api_keys',
  'audit_events',
  'attempted_identifiers',
  'device_tokens',
];

/** Whether any column of any row holds one of these texts. */
async function tablesThatHold(texts: string[]): Promise<string[]> {
  const found = [];
  for (const table of TABLES) {
    const holding = await rows(
      service,
      `select 1 from ${table} as row where exists (select from unnest($1::text[]) as sought
      where position(lower(sought) in lower(row::text)) > 0)`,
      [texts],
    );
    if (holding.length > 0) found.push(table);
  }
  return found;
}

/** Somebody who has left traces wherever a user can. */
async function experienced() {
  const word = randomUUID().slice(0, 8);
  const client = { ipAddress: '203.0.113.77', userAgent: `Agent ${word}`, deviceName: `Phone of ${word}` };
  const newPassword = `${PASSWORD} 2`;
  const username = newUsername();
  const profile = {
    firstName: `First${word}`,
    lastName: `Last${word}`,
    bio: `Bio ${word}`,
    phone: `+4144${parseInt(word, 16)}`.slice(0, 16),
  };
  const { user: registered } = await service.auth.register({ email: newEmail(), password: PASSWORD, username, profile, client });
  const user = required(registered);
  const { email, id } = user;
  await service.roles.assignRole({ role: 'admin', userId: id });
  await expectStatus(service.auth.login({ email, password: 'wrong', client }), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
  await service.auth.login({ username, password: PASSWORD, client });
  const tokens = required((await service.auth.login({ email, password: PASSWORD, client })).tokens);
  const token = tokens.accessToken;
  await service.auth.changePassword({ userId: id, currentPassword: PASSWORD, newPassword }, { token });
  await service.users.updateUser({ user: { id, profile: { bio: `Bio ${word} 2` } } }, { token });
  await service.apiKeys.createApiKey({ userId: id, name: `Key of ${word}` });
  const traces = [word, username, email, id, client.ipAddress, profile.phone];
  return { user, tokens, token, newPassword, traces };
}

describe('DeleteUser', () => {
  it('leaves no trace of the person in any table', async () => {
    const { user, traces } = await experienced();
    expect(await tablesThatHold(traces)).toEqual(
      expect.arrayContaining(['users', 'profiles', 'sessions', 'user_roles', 'api_keys', 'audit_events']),
    );
    await erase(user.id);
    expect(await tablesThatHold(traces)).toEqual([]);
  });

  it('leaves no trace of somebody who deletes themself, either', async () => {
    const { user, traces, token } = await experienced();
    await service.users.deleteUser({ userId: user.id }, { token });
    expect(await tablesThatHold(traces)).toEqual([]);
  });

  it('takes the rows of profile, sessions and password history along, and nobody else’s', async () => {
    await signedIn(service);
    const before = await totals(service);
    const { user } = await experienced();
    await erase(user.id);
    const { audit_events: eventsBefore, ...others } = before;
    const { audit_events: events, ...after } = await totals(service);
    expect(after).toEqual(others);
    expect(Number(events)).toBeGreaterThan(Number(eventsBefore));
  });

  it('keeps the audit events, without the person, and adds one', async () => {
    const { user } = await experienced();
    const select = 'select id, type, occurred_at from audit_events where user_id = $1 order by id';
    const before = await rows(service, select, [user.id]);
    const [last] = await rows(service, 'select max(occurred_at) as at from audit_events');
    await erase(user.id);
    const kept = await rows(service, `${select.replace('user_id = $1', 'id = any($1)')}`, [before.map(({ id }) => id)]);
    expect(kept).toEqual(before);
    const deletions = await rows(
      service,
      `select user_id, actor, metadata from audit_events where type = 'user.deleted' and occurred_at >= $1`,
      [last?.at],
    );
    expect(deletions).toEqual([{ user_id: null, actor: 'service_account:test-admin', metadata: {} }]);
    const columns = 'user_id, ip_address, user_agent, device_name';
    const emptied = await rows(service, `select distinct ${columns} from audit_events where id = any($1)`, [before.map(({ id }) => id)]);
    expect(emptied).toEqual([{ user_id: null, ip_address: null, user_agent: null, device_name: null }]);
  });

  it('leaves the audit events of others as they are', async () => {
    const { user: other } = await experienced();
    const select = 'select * from audit_events where user_id = $1 order by id';
    const before = await rows(service, select, [other.id]);
    const { user } = await experienced();
    await erase(user.id);
    expect(await rows(service, select, [other.id])).toEqual(before);
  });

  it('tells in a receipt what is gone and what is kept', async () => {
    const { user } = await experienced();
    const count = async (table: string) => (await rows(service, `select from ${table} where user_id = $1`, [user.id])).length;
    await untilNoMailIsPending(service.database.pool);
    const [sessions, history, events] = [await count('sessions'), await count('password_history'), await count('audit_events')];
    expect([sessions, history]).toEqual([2, 2]);
    const devices = await count('known_devices');
    const { receipt } = await erase(user.id);
    expect(receipt).toEqual({
      userId: user.id,
      deleted: [
        { kind: 'user', count: 1, reason: '' },
        { kind: 'profile', count: 1, reason: '' },
        { kind: 'roles', count: 1, reason: '' },
        { kind: 'sessions', count: sessions, reason: '' },
        { kind: 'known_devices', count: devices, reason: '' },
        { kind: 'device_tokens', count: sessions, reason: '' },
        { kind: 'attempted_identifiers', count: 0, reason: '' },
        { kind: 'password_history', count: history, reason: '' },
        { kind: 'api_keys', count: 1, reason: '' },
        // What is sent by mail comes and goes by itself.
        { kind: 'one_time_tokens', count: expect.any(Number), reason: '' },
        { kind: 'email_changes', count: 0, reason: '' },
        { kind: 'mails', count: expect.any(Number), reason: '' },
      ],
      kept: [{ kind: 'audit_events', count: events, reason: expect.stringContaining('GDPR') }],
    });
  });

  it('stops all tokens at once', async () => {
    const { user, tokens } = await signedIn(service);
    await erase(user.id);
    expect((await service.auth.introspectToken({ accessToken: tokens.accessToken })).active).toBe(false);
    const { refreshToken } = tokens;
    await expectStatus(service.auth.refreshToken({ refreshToken }), 'UNAUTHENTICATED', 'INVALID_REFRESH_TOKEN');
  });

  it('names nobody as an actor who was erased while their call went on', async () => {
    const [{ user, tokens }, other] = [await signedIn(service), await register(service)];
    await service.roles.assignRole({ role: 'admin', userId: user.id });
    const held = await holdUser(service, other.id);
    const call = service.users.deactivateUser({ userId: other.id }, { token: tokens.accessToken });
    await untilBlocked(service, 1);
    await erase(user.id);
    await held.release();
    await call;
    const events = await rows(service, `select actor from audit_events where user_id = $1 and type = 'user.deactivated'`, [other.id]);
    expect(events).toEqual([{ actor: 'erased user' }]);
    expect(await tablesThatHold([user.id])).toEqual([]);
  });

  it('leaves a token and an API key behind that nobody may call with, and that name nobody', async () => {
    const { user, tokens } = await signedIn(service);
    const { key } = await service.apiKeys.createApiKey({ userId: user.id, name: 'test' });
    await erase(user.id);
    for (const token of [tokens.accessToken, key]) {
      await expectStatus(service.auth.getCaller({}, { token }), 'UNAUTHENTICATED', 'CALLER_UNAUTHENTICATED');
    }
    expect(await tablesThatHold([user.id])).toEqual([]);
  });

  it('makes the user unknown everywhere', async () => {
    const { id, email } = await register(service);
    await erase(id);
    await expectStatus(service.users.getUser({ userId: id }), 'NOT_FOUND', 'USER_NOT_FOUND');
    await expectStatus(service.users.lookupUser({ email }), 'NOT_FOUND', 'USER_NOT_FOUND');
    await expectStatus(service.users.updateUser({ user: { id } }), 'NOT_FOUND', 'USER_NOT_FOUND');
    await expectStatus(erase(id), 'NOT_FOUND', 'USER_NOT_FOUND');
    expect(await service.users.batchGetUsers({ userIds: [id] })).toEqual({ users: [], missingUserIds: [id] });
    await expectStatus(logIn(service, email), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
  });

  it('frees email, username and request id', async () => {
    const fields = { email: newEmail(), username: newUsername(), password: PASSWORD, requestId: randomUUID() };
    const first = await register(service, fields);
    await erase(first.id);
    const second = await register(service, fields);
    expect(second.id).not.toBe(first.id);
    await logIn(service, fields.email);
  });

  it('deletes deactivated users, too', async () => {
    const { id } = await register(service);
    await service.users.deactivateUser({ userId: id });
    expect((await erase(id)).receipt?.userId).toBe(id);
  });

  it('is one transaction', async () => {
    const { user, tokens } = await signedIn(service);
    const before = await totals(service);
    await whileInsertsFail(service, 'audit_events', () => expectStatus(erase(user.id), 'INTERNAL', 'INTERNAL_ERROR'));
    expect(await totals(service)).toEqual(before);
    expect((await service.auth.introspectToken({ accessToken: tokens.accessToken })).active).toBe(true);
  });

  it('succeeds for one of ten calls at once; the others find nobody', async () => {
    const { user } = await signedIn(service);
    const results = await atOnce(10, () => erase(user.id));
    const reasons = results.flatMap((result) => (result.status === 'rejected' ? [decode(result.reason).reason] : []));
    expect(reasons).toEqual(Array(9).fill('USER_NOT_FOUND'));
  });

  it('and everything that the user does at the same time get along', async () => {
    for (let round = 0; round < 8; round++) {
      const { user, tokens } = await signedIn(service);
      const { id, email } = user;
      const { refreshToken, accessToken } = tokens;
      const changed = { currentPassword: PASSWORD, newPassword: `${PASSWORD} 2` };
      const actions: (() => Promise<unknown>)[] = [
        () => logIn(service, email),
        () => logIn(service, email, 'wrong password'),
        () => service.auth.refreshToken({ refreshToken }),
        () => erase(id),
        () => service.auth.introspectToken({ accessToken }),
        () => service.users.updateUser({ user: { id, profile: { bio: 'new' } } }),
        () => service.users.deactivateUser({ userId: id }),
        () => service.users.unlockUser({ userId: id }),
        () => service.auth.changePassword({ userId: id, ...changed }, { token: accessToken }),
        () => service.sessions.revokeAllSessions({ userId: id }),
        () => logIn(service, email),
      ];
      // Each round, the deletion meets the others elsewhere.
      const shifted = [...actions.slice(round), ...actions.slice(0, round)];
      const results = await atOnce(shifted.length, async (index) => shifted[index]?.());
      const reasons = results.flatMap((result) => (result.status === 'rejected' ? [decode(result.reason).reason] : []));
      for (const reason of reasons)
        expect(['USER_NOT_FOUND', 'INVALID_CREDENTIALS', 'INVALID_REFRESH_TOKEN', 'CALLER_UNAUTHENTICATED']).toContain(reason);
      expect(await tablesThatHold([id, email])).toEqual([]);
    }
  });

  it('tells that nobody has the id', async () => {
    await expectStatus(erase(randomUUID()), 'NOT_FOUND', 'USER_NOT_FOUND');
  });

  it('refuses what is no id', async () => {
    for (const userId of ['', 'nobody']) await expectInvalid(erase(userId), ['user_id']);
  });
});
