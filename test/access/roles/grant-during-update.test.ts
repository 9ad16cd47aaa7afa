import { beforeEach, describe, expect, it } from 'vitest';
import { register } from '../../support/builders.ts';
import { expectStatus } from '../../support/expect-status.ts';
import { type Program, programInRoles, programWith, roleWith } from '../../support/grants.ts';
import { importOne, newRow } from '../../support/import-users.ts';
import { untilBlocked } from '../../support/locks.ts';
import { rows } from '../../support/rows.ts';
import { useService } from '../../support/service.ts';

const service = useService();

let role: string;
let caller: Program;

beforeEach(async () => {
  role = await roleWith(service, ['a.read']);
  caller = await programWith(service, ['a.read', 'identity.roles.assign', 'identity.roles.write', 'identity.users.import']);
});

/** Makes the call while the role gets a permission that the caller does not have, and is not told so before it has asked for the role. */
async function whileItGrows<T>(call: () => Promise<T>): Promise<() => Promise<T>> {
  const connection = await service.database.pool.connect();
  try {
    await connection.query('begin');
    await connection.query('select 1 from roles where name = $1 for update', [role]);
    await connection.query(`insert into role_permissions (role_id, permission) select id, 'b.write' from roles where name = $1`, [role]);
    const ended = call();
    ended.catch(() => undefined);
    await untilBlocked(service, 1);
    await connection.query('commit');
    return () => ended;
  } finally {
    await connection.query('rollback');
    connection.release();
  }
}

const holdersOf = async (name: string) => {
  const sql = `select user_id as id from user_roles join roles on roles.id = role_id where name = $1
    union all select service_account_id from service_account_roles join roles on roles.id = role_id where name = $1`;
  return (await rows(service, sql, [name])).map(({ id }) => id);
};

describe('a role that comes to permit more than the caller has, just before the caller', () => {
  it('assigns it to a user, is not assigned', async () => {
    const { id } = await register(service);
    const call = await whileItGrows(() => service.roles.assignRole({ role, userId: id }, { token: caller.key }));
    await expectStatus(call(), 'PERMISSION_DENIED', 'GRANT_EXCEEDS_CALLER');
    expect(await holdersOf(role)).toEqual([]);
  });

  it('assigns it to a service account, is not assigned', async () => {
    const { id } = await programInRoles(service, []);
    const call = await whileItGrows(() => service.roles.assignRole({ role, serviceAccountId: id }, { token: caller.key }));
    await expectStatus(call(), 'PERMISSION_DENIED', 'GRANT_EXCEEDS_CALLER');
    expect(await holdersOf(role)).toEqual([]);
  });

  it('takes it from a user, is not taken away', async () => {
    const { id } = await register(service);
    await service.roles.assignRole({ role, userId: id });
    const call = await whileItGrows(() => service.roles.unassignRole({ role, userId: id }, { token: caller.key }));
    await expectStatus(call(), 'PERMISSION_DENIED', 'GRANT_EXCEEDS_CALLER');
    expect(await holdersOf(role)).toEqual([id]);
  });

  it('deletes it, is not deleted', async () => {
    const call = await whileItGrows(() => service.roles.deleteRole({ name: role }, { token: caller.key }));
    await expectStatus(call(), 'PERMISSION_DENIED', 'GRANT_EXCEEDS_CALLER');
    expect(await rows(service, 'select 1 from roles where name = $1', [role])).toHaveLength(1);
  });

  it('imports a user with it, is not given', async () => {
    const call = await whileItGrows(() => importOne(service, newRow({ roles: [role] }), { token: caller.key }));
    expect(await call()).toMatchObject({ outcome: 'REFUSED', reason: 'GRANT_EXCEEDS_CALLER' });
    expect(await holdersOf(role)).toEqual([]);
  });
});
