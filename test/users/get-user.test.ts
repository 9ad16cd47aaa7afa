import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { register } from '../support/builders.ts';
import { expectInvalid, expectStatus } from '../support/expect-status.ts';
import { bookkeeping, rows } from '../support/rows.ts';
import { useService } from '../support/service.ts';

const service = useService();

describe('GetUser', () => {
  it('finds a user by id, in any case', async () => {
    const user = await register(service);
    expect((await service.users.getUser({ userId: user.id })).user).toEqual(user);
    expect((await service.users.getUser({ userId: user.id.toUpperCase() })).user).toEqual(user);
  });

  it('finds deactivated users, too', async () => {
    const { id } = await register(service);
    await service.users.deactivateUser({ userId: id });
    expect((await service.users.getUser({ userId: id })).user).toMatchObject({ id, active: false });
  });

  it('shows that the email is verified, but not since when', async () => {
    const before = await register(service);
    await rows(service, `update users set email_verified_at = '2001-02-03T04:05:06Z' where id = $1`, [before.id]);
    const { user } = await service.users.getUser({ userId: before.id });
    expect(user).toEqual({ ...before, emailVerified: true, etag: expect.not.stringMatching(before.etag) });
    expect(JSON.stringify(user)).not.toContain('2001');
  });

  it('leaves the row as it is', async () => {
    const { id } = await register(service);
    const before = await bookkeeping(service, id);
    await service.users.getUser({ userId: id });
    expect(await bookkeeping(service, id)).toEqual(before);
  });

  it('tells that nobody has an id', async () => {
    await expectStatus(service.users.getUser({ userId: randomUUID() }), 'NOT_FOUND', 'USER_NOT_FOUND');
  });

  it.each([
    '',
    ' ',
    '0',
    'null',
    '00000000-0000-0000-0000-00000000000g',
    '{00000000-0000-0000-0000-000000000000}',
    '00000000000000000000000000000000',
    "' or 1=1 --",
    '\u0000',
  ])('refuses %j as an id', async (userId) => {
    await expectInvalid(service.users.getUser({ userId }), ['user_id']);
  });
});
