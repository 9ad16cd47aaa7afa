import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { auditCleanup } from '../../src/audit/audit-event.repository.ts';
import { runCleanup } from '../../src/jobs/cleanup.ts';
import { logIn, PASSWORD, register, required, signedIn } from '../support/builders.ts';
import { expectInvalid, expectStatus } from '../support/expect-status.ts';
import { useService } from '../support/service.ts';

const service = useService();
const list = (request: Parameters<typeof service.audit.listAuditEvents>[0], token?: string) =>
  service.audit.listAuditEvents(request, token === undefined ? {} : { token });

/** The filter of ListAuditEvents, with every field. */
const filtered = (fields: object) => ({ filter: { userId: '', type: '', startTime: undefined, endTime: undefined, ...fields } });

describe('ListAuditEvents', () => {
  it('tells what happened to a user, the newest first, with actor, device and moment', async () => {
    const before = new Date();
    const client = { ipAddress: '203.0.113.5', userAgent: 'test', deviceName: 'phone' };
    const { user } = await service.auth.register({ email: `${randomUUID()}@example.com`, password: PASSWORD, client });
    const userId = required(user).id;
    await logIn(service, required(user).email);
    await service.users.deactivateUser({ userId });

    const { events } = await list(filtered({ userId }));
    const besides = ['session.revoked', 'user.email_verification_requested'];
    expect(events.map(({ type }) => type).filter((type) => !besides.includes(type))).toEqual([
      'user.deactivated',
      'user.login',
      'user.created',
    ]);
    const created = required(events.find(({ type }) => type === 'user.created'));
    expect(created).toMatchObject({ userId, actor: 'service_account:test-admin', client });
    expect(required(created.occurTime).getTime()).toBeGreaterThanOrEqual(before.getTime() - 1);
    expect(required(created.occurTime).getTime()).toBeLessThanOrEqual(Date.now() + 1);
  });

  it('filters by type and time, all conditions together', async () => {
    const first = await register(service);
    service.clock.advance(100);
    const middle = service.clock.now();
    service.clock.advance(100);
    const second = await register(service);

    const ids = async (fields: object) => (await list({ pageSize: 1000, ...filtered(fields) })).events.map(({ userId }) => userId);
    expect(await ids({ type: 'user.created', startTime: middle })).toEqual([second.id]);
    expect(await ids({ type: 'user.created', endTime: middle })).toContain(first.id);
    expect(await ids({ type: 'user.created', endTime: middle })).not.toContain(second.id);
    expect(await ids({ type: 'user.deleted', userId: first.id })).toEqual([]);
    expect(await ids({ type: `what? ? :x '"` })).toEqual([]);
  });

  it('gives every event once, page by page, while new ones are added', async () => {
    const { user } = await signedIn(service);
    const all = (await list(filtered({ userId: user.id }))).events.map(({ id }) => id);
    const walked: string[] = [];
    let pageToken = '';
    do {
      const page = await list({ pageSize: 1, pageToken, ...filtered({ userId: user.id }) });
      walked.push(...page.events.map(({ id }) => id));
      await logIn(service, user.email);
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    expect(walked).toEqual(all);
  });

  it('refuses a token of another filter or of another caller', async () => {
    const { user, tokens } = await signedIn(service);
    const { nextPageToken } = await list({ pageSize: 1, ...filtered({ userId: user.id }) });
    expect(nextPageToken).not.toBe('');
    await expectInvalid(list({ pageToken: nextPageToken, ...filtered({ type: 'user.login' }) }), ['page_token']);
    await service.roles.assignRole({ role: 'reader', userId: user.id });
    await expect
      .poll(async () => (await service.auth.getCaller({}, { token: tokens.accessToken })).permissions)
      .toContain('identity.audit.read');
    await expectInvalid(list({ pageToken: nextPageToken, ...filtered({ userId: user.id }) }, tokens.accessToken), ['page_token']);
  });

  it('reports every wrong field', async () => {
    await expectInvalid(list({ pageSize: -1, ...filtered({ userId: 'nobody', type: 'x'.repeat(101) }) }), [
      'page_size',
      'filter.user_id',
      'filter.type',
    ]);
  });

  it('forgets events after their time, and only those', async () => {
    const { id: userId } = await register(service);
    const chore = () => runCleanup(service.app.orm.em, service.clock.now(), auditCleanup({ auditRetentionDays: 365 }));
    service.clock.advance(364 * 86_400);
    await chore();
    expect((await list(filtered({ userId, type: 'user.created' }))).events).toHaveLength(1);
    service.clock.advance(2 * 86_400);
    await chore();
    expect((await list(filtered({ userId }))).events).toEqual([]);
  });
});

describe('a refused call', () => {
  it('is written down once, however often it is made: who, what and why', async () => {
    const { user, tokens } = await signedIn(service);
    for (let again = 0; again < 3; again++) {
      await expectStatus(service.users.listUsers({}, { token: tokens.accessToken }), 'PERMISSION_DENIED', 'PERMISSION_DENIED');
    }
    const refusals = async () => (await list(filtered({ type: 'call.refused', userId: user.id }))).events;
    await expect.poll(refusals).toHaveLength(1);
    expect((await refusals())[0]).toMatchObject({ actor: `user:${user.id}`, client: { ipAddress: '127.0.0.1' } });
    expect(Object.fromEntries(required((await refusals())[0]).metadata)).toEqual({
      rpc: '/identity.v1.UserService/ListUsers',
      reason: 'PERMISSION_DENIED',
    });
  });

  it('is written down also where a use case refuses to grant what the caller lacks', async () => {
    const { user, tokens } = await signedIn(service);
    await service.roles.createRole({ role: { name: 'role-maker', permissions: ['identity.roles.write'] } });
    await service.roles.assignRole({ role: 'role-maker', userId: user.id });
    const raise = () => service.roles.createRole({ role: { name: 'mine', permissions: ['*'] } }, { token: tokens.accessToken });
    await expect.poll(() => raise().catch((error: Error) => error.message)).toContain('permissions that the caller does not have');
    const reasons = async () => {
      const { events } = await list(filtered({ type: 'call.refused', userId: user.id }));
      return events.map(({ metadata }) => metadata.get('reason'));
    };
    await expect.poll(reasons).toContain('GRANT_EXCEEDS_CALLER');
  });

  it('is written down also where nobody knows who makes it, for each RPC once', async () => {
    const before = (await list({ pageSize: 1000, ...filtered({ type: 'call.refused' }) })).events.map(({ id }) => id);
    const { tokens } = await signedIn(service);
    await service.sessions.revokeSession({ sessionId: tokens.sessionId });
    for (const token of [null, tokens.accessToken, 'made up']) {
      await expectStatus(service.users.listUsers({}, { token }), 'UNAUTHENTICATED', 'CALLER_UNAUTHENTICATED');
      await expectStatus(service.roles.listRoles({}, { token }), 'UNAUTHENTICATED', 'CALLER_UNAUTHENTICATED');
    }
    const refusals = async () => {
      const { events } = await list({ pageSize: 1000, ...filtered({ type: 'call.refused' }) });
      return events.filter(({ id }) => !before.includes(id));
    };
    await expect.poll(refusals, { timeout: 3000 }).toHaveLength(2);
    for (const { actor, userId, client } of await refusals()) {
      expect({ actor, userId, ipAddress: client?.ipAddress }).toEqual({ actor: 'anonymous', userId: undefined, ipAddress: '127.0.0.1' });
    }
    const facts = (await refusals()).map(({ metadata }) => Object.fromEntries(metadata));
    expect(facts.toSorted((a, b) => String(a.rpc).localeCompare(String(b.rpc)))).toEqual([
      { rpc: '/identity.v1.RoleService/ListRoles', reason: 'CALLER_UNAUTHENTICATED' },
      { rpc: '/identity.v1.UserService/ListUsers', reason: 'CALLER_UNAUTHENTICATED' },
    ]);
  });
});
