import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { register } from '../support/builders.ts';
import { expectInvalid, expectStatus } from '../support/expect-status.ts';
import { rows } from '../support/rows.ts';
import { useService } from '../support/service.ts';
import { statementsOf, untilCallerIsKnown } from '../support/statements.ts';

const service = useService();

/** Users made by SQL: a thousand calls would take long. */
async function insertUsers(count: number): Promise<string[]> {
  const users = await rows<{ id: string }>(
    service,
    `insert into users (email) select gen_random_uuid() || '@example.com' from generate_series(1, $1) returning id`,
    [count],
  );
  const ids = users.map(({ id }) => id);
  await rows(service, 'insert into profiles (user_id) select unnest($1::uuid[])', [ids]);
  return ids;
}

describe('BatchGetUsers', () => {
  it('answers in the order of the request', async () => {
    const [a, b, c] = [await register(service), await register(service), await register(service)];
    for (const users of [
      [a, b, c],
      [c, a, b],
      [b, c, a],
    ]) {
      const response = await service.users.batchGetUsers({ userIds: users.map(({ id }) => id) });
      expect(response).toEqual({ users, missingUserIds: [] });
    }
  });

  it('answers an id given twice twice', async () => {
    const user = await register(service);
    const missing = randomUUID();
    const response = await service.users.batchGetUsers({ userIds: [user.id, missing, user.id.toUpperCase(), missing] });
    expect(response).toEqual({ users: [user, user], missingUserIds: [missing, missing] });
  });

  it('answers a user with many roles once for each time that the id is given', async () => {
    const { id } = await register(service);
    await rows(service, `insert into user_roles select $1::uuid, id from roles where name in ('service', 'reader')`, [id]);
    const { users } = await service.users.batchGetUsers({ userIds: [id, id] });
    expect(users.map(({ roles }) => roles)).toEqual([
      ['reader', 'service'],
      ['reader', 'service'],
    ]);
  });

  it('names the ids that nobody has, in the order of the request', async () => {
    const user = await register(service);
    const missing = [randomUUID(), randomUUID(), randomUUID()];
    const [first = '', ...others] = missing;
    const response = await service.users.batchGetUsers({ userIds: [first, user.id, ...others] });
    expect(response).toEqual({ users: [user], missingUserIds: missing });
  });

  it('gets 1,000 users, with profiles and roles, with one query', async () => {
    const ids = await insertUsers(1000);
    await rows(service, `insert into user_roles select unnest($1::uuid[]), id from roles where name in ('reader', 'service')`, [ids]);
    await untilCallerIsKnown(service);
    const statements = await statementsOf(async () => {
      const { users, missingUserIds } = await service.users.batchGetUsers({ userIds: ids });
      expect(users.map(({ id }) => id)).toEqual(ids);
      expect(missingUserIds).toEqual([]);
      for (const { roles } of users) expect(roles).toEqual(['reader', 'service']);
    });
    expect(statements).toHaveLength(1);
  });

  it('refuses more than 1,000 ids, and none at all', async () => {
    await expectInvalid(service.users.batchGetUsers({ userIds: Array(1001).fill(randomUUID()) }), ['user_ids']);
    await expectInvalid(service.users.batchGetUsers({ userIds: [] }), ['user_ids']);
  });

  it('says which ids are none', async () => {
    const userIds = [randomUUID(), '', randomUUID(), 'nobody', randomUUID()];
    await expectInvalid(service.users.batchGetUsers({ userIds }), ['user_ids[1]', 'user_ids[3]']);
  });

  it('refuses a thousand bad ids, naming as many as an answer can hold', async () => {
    const call = service.users.batchGetUsers({ userIds: Array(1000).fill('nobody') });
    const { fields } = await expectStatus(call, 'INVALID_ARGUMENT', 'INVALID_FIELDS');
    expect(fields.length).toBeGreaterThan(10);
    expect(fields).toEqual(fields.map((_, index) => `user_ids[${index}]`));
  });

  it('refuses ten thousand bad ids for their number', async () => {
    await expectInvalid(service.users.batchGetUsers({ userIds: Array(10_000).fill('nobody') }), ['user_ids']);
  });
});
