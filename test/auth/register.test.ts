import { describe, expect, it } from 'vitest';
import { auditEvents, DEVICE } from '../support/audit.ts';
import { atOnce, newEmail, newUsername, PASSWORD, register, required } from '../support/builders.ts';
import { decode, expectInvalid, expectStatus } from '../support/expect-status.ts';
import { counterOf, storedHash } from '../support/passwords.ts';
import { rows } from '../support/rows.ts';
import { useService } from '../support/service.ts';

const service = useService();

const rejections = (results: readonly PromiseSettledResult<unknown>[]) =>
  results.filter((result) => result.status === 'rejected').map(({ reason }) => decode(reason));

describe('Register', () => {
  it('gives an email to exactly one of 50 who ask for it at once', async () => {
    const email = newEmail();
    const results = await atOnce(50, (index) =>
      service.auth.register({ email: index % 2 ? email.toUpperCase() : email, password: PASSWORD, client: DEVICE }),
    );

    const failures = rejections(results).map(({ code, reason }) => `${code} ${reason}`);
    expect(failures).toEqual(Array(49).fill('ALREADY_EXISTS EMAIL_ALREADY_EXISTS'));
    const [counts] = await rows(
      service,
      `select (select count(*)::int from users where email = $1) as users,
         (select count(*)::int from profiles join users on id = user_id where email = $1) as profiles,
         (select count(*)::int from password_history h join users u on u.id = h.user_id where email = $1) as passwords,
         (select count(*)::int from audit_events where type = 'user.created') as events`,
      [email],
    );
    expect(counts).toEqual({ users: 1, profiles: 1, passwords: 1, events: 1 });
  });

  it('gives a username to exactly one of 20 who ask for it at once', async () => {
    const username = newUsername();
    const results = await atOnce(20, () => service.auth.register({ email: newEmail(), username }));
    const failures = rejections(results).map(({ code, reason }) => `${code} ${reason}`);
    expect(failures).toEqual(Array(19).fill('ALREADY_EXISTS USERNAME_ALREADY_EXISTS'));
  });

  it('answers the same request, sent 10 times at once, with the same user', async () => {
    const request = { email: newEmail(), password: PASSWORD, requestId: crypto.randomUUID() };
    const results = await atOnce(10, async () => required((await service.auth.register(request)).user).id);
    const ids = results.map((result) => (result.status === 'fulfilled' ? result.value : result.reason));
    expect(new Set(ids).size).toBe(1);
    expect(await auditEvents(service, 'user.created', String(ids[0]))).toHaveLength(1);
  });

  it('refuses a request id that was used for another email', async () => {
    const requestId = crypto.randomUUID();
    await register(service, { requestId });
    await expectInvalid(service.auth.register({ email: newEmail(), requestId }), ['request_id'], 'REQUEST_ID_REUSED');
  });

  it('writes down the device', async () => {
    const user = await register(service, { client: DEVICE });
    expect(await auditEvents(service, 'user.created', user.id)).toEqual([
      { type: 'user.created', userId: user.id, actor: 'service_account:test-admin', ...DEVICE },
    ]);
  });

  it('makes an account that can sign in', async () => {
    const user = await register(service, {
      email: ' Ada@Example.COM ',
      username: 'Ada',
      profile: { firstName: 'Ada', lastName: 'Lovelace' },
    });
    expect(user).toMatchObject({ email: 'ada@example.com', username: 'ada', hasPassword: true, active: true, emailVerified: false });
    expect(user.profile?.fullName).toBe('Ada Lovelace');
    const { tokens } = await service.auth.login({ username: 'ada', password: PASSWORD });
    expect(tokens?.tokenType).toBe('Bearer');
  });

  it('makes an account without a password, which cannot sign in with one', async () => {
    const user = await register(service, { password: undefined });
    expect(user.hasPassword).toBe(false);
    expect(await storedHash(service, user.id)).toBeNull();
    await expectStatus(service.auth.login({ email: user.email, password: PASSWORD }), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');
    expect(await counterOf(service, user.id)).toEqual({ failed: 1, locked: false });
  });

  it('takes passwords of 8 characters to 1,024 bytes, and no others', async () => {
    const attempt = (password: string) => service.auth.register({ email: newEmail(), password });
    await attempt('8 chars!');
    await attempt('🔑🔒🔓🗝🚪🏠🧱🪟');
    await attempt('🔑'.repeat(256));
    await expectInvalid(attempt(''), ['password']);
    await expectInvalid(attempt('7 chars'), ['password']);
    // Seven characters, although they are fourteen UTF-16 units.
    await expectInvalid(attempt('🔑'.repeat(7)), ['password']);
    await expectInvalid(attempt(`${'🔑'.repeat(256)}!`), ['password']);
  });

  it('names every violated field', async () => {
    const request = { email: 'nobody', password: 'too few', username: '-', requestId: '1', client: { ipAddress: '1.2.3' } };
    await expectInvalid(service.auth.register(request), ['email', 'password', 'username', 'request_id', 'client.ip_address']);
  });

  it('leaves nothing behind where it fails', async () => {
    const { email } = await register(service);
    const before = await rows(service, 'select (select count(*) from password_history) as p, (select count(*) from audit_events) as a');
    await expectStatus(service.auth.register({ email, password: PASSWORD }), 'ALREADY_EXISTS', 'EMAIL_ALREADY_EXISTS');
    const after = await rows(service, 'select (select count(*) from password_history) as p, (select count(*) from audit_events) as a');
    expect(after).toEqual(before);
  });
});
