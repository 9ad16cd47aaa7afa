import { describe, expect, it } from 'vitest';
import { atOnce, register, required, signedIn } from '../support/builders.ts';
import { expectStatus } from '../support/expect-status.ts';
import { keyOf, newName, programInRoles, roleWith } from '../support/grants.ts';
import { importOne, newRow } from '../support/import-users.ts';
import { holdEpoch, untilBlocked } from '../support/locks.ts';
import { rows } from '../support/rows.ts';
import { useReplicas } from '../support/service.ts';

const { here, there } = useReplicas();

const MANAGER = [
  'identity.api_keys.write',
  'identity.roles.assign',
  'identity.roles.read',
  'identity.roles.write',
  'identity.service_accounts.write',
];

/** A program that gives rights, and is known on this replica. */
async function manager() {
  const role = await roleWith(here, MANAGER);
  const { id } = await programInRoles(here, [role]);
  const { apiKey, key } = await here.apiKeys.createApiKey({ serviceAccountId: id, name: 'second' });
  const given = await roleWith(here, ['identity.roles.read']);
  const user = await register(here);
  await here.auth.getCaller({}, { token: key });
  return { id, role, given, userId: user.id, apiKeyId: required(apiKey).id, token: key };
}

type Manager = Awaited<ReturnType<typeof manager>>;

const GRANTS: readonly (readonly [string, (manager: Manager) => Promise<unknown>])[] = [
  ['CreateApiKey', ({ id, token }) => here.apiKeys.createApiKey({ serviceAccountId: id, name: 'x' }, { token })],
  ['AssignRole', ({ given, userId, token }) => here.roles.assignRole({ role: given, userId }, { token })],
  ['UnassignRole', ({ given, userId, token }) => here.roles.unassignRole({ role: given, userId }, { token })],
  ['CreateRole', ({ token }) => here.roles.createRole({ role: { name: newName(), permissions: ['identity.roles.read'] } }, { token })],
  ['UpdateRole', ({ given, token }) => here.roles.updateRole({ role: { name: given, permissions: [] } }, { token })],
  ['DeleteRole', ({ given, token }) => here.roles.deleteRole({ name: given }, { token })],
  ['CreateServiceAccount', ({ given, token }) => here.serviceAccounts.createServiceAccount({ name: newName(), roles: [given] }, { token })],
  [
    'DeleteServiceAccount',
    async ({ given, token }) => {
      const { id } = await programInRoles(there, [given]);
      return here.serviceAccounts.deleteServiceAccount({ serviceAccountId: id }, { token });
    },
  ],
];

/** A caller is remembered for up to 250 ms after a change on another replica. Each of these tests begins right after it. */
describe('who gives or takes rights is looked at again when they do it', () => {
  it.each(GRANTS)('%s: whose key was revoked a moment ago on another replica is refused', async (_, grant) => {
    const caller = await manager();
    await there.apiKeys.revokeApiKey({ apiKeyId: caller.apiKeyId });
    await expectStatus(grant(caller), 'UNAUTHENTICATED', 'CALLER_UNAUTHENTICATED');
  });

  it.each(GRANTS)('%s: who has lost the role a moment ago on another replica is refused', async (_, grant) => {
    const caller = await manager();
    await there.roles.unassignRole({ role: caller.role, serviceAccountId: caller.id });
    await expectStatus(grant(caller), 'PERMISSION_DENIED', 'PERMISSION_DENIED');
  });

  it.each(GRANTS)('%s: who has kept the right to call, but not what they would give, is refused', async (_, grant) => {
    const caller = await manager();
    const permissions = MANAGER.filter((name) => name !== 'identity.roles.read');
    await there.roles.updateRole({ role: { name: caller.role, permissions } });
    const call = grant(caller);
    // Their own key has all that they have left.
    if (_ === 'CreateApiKey') await call;
    else await expectStatus(call, 'PERMISSION_DENIED', 'GRANT_EXCEEDS_CALLER');
  });

  it('CreateApiKey: a user whose session has ended a moment ago on another replica makes no key', async () => {
    const { user, tokens } = await signedIn(here);
    await here.auth.getCaller({}, { token: tokens.accessToken });
    await there.sessions.revokeAllSessions({ userId: user.id });
    const call = here.apiKeys.createApiKey({ userId: user.id, name: 'x' }, { token: tokens.accessToken });
    await expectStatus(call, 'UNAUTHENTICATED', 'CALLER_UNAUTHENTICATED');
    expect((await here.apiKeys.listApiKeys({ userId: user.id })).apiKeys).toEqual([]);
  });
});

describe('who imports users with roles is looked at again when they are given', () => {
  /** Imports a user with a role, and takes a role of the importer away when the import has begun to store the row. */
  async function importWhileLosing(lost: 'toImport' | 'toGive') {
    const roles = { toImport: await roleWith(here, ['identity.users.import']), toGive: await roleWith(here, ['identity.audit.read']) };
    const { id, key: token } = await programInRoles(here, Object.values(roles));
    const held = await holdEpoch(here);
    const answer = importOne(here, newRow({ roles: [roles.toGive] }), { token });
    answer.catch(() => undefined);
    await untilBlocked(here, 1);
    const sql = 'delete from service_account_roles where service_account_id = $1 and role_id = (select id from roles where name = $2)';
    await held.query(sql, [id, roles[lost]]);
    await held.release();
    return { answer, role: roles.toGive };
  }

  const holders = (role: string) => rows(here, 'select 1 from user_roles where role_id = (select id from roles where name = $1)', [role]);

  it('who has lost what they would give gives it to nobody', async () => {
    const { answer, role } = await importWhileLosing('toGive');
    await expectStatus(answer, 'PERMISSION_DENIED', 'GRANT_EXCEEDS_CALLER');
    expect(await holders(role)).toEqual([]);
  });

  it('who may import no more is refused', async () => {
    const { answer, role } = await importWhileLosing('toImport');
    await expectStatus(answer, 'PERMISSION_DENIED', 'PERMISSION_DENIED');
    expect(await holders(role)).toEqual([]);
  });
});

describe('a grant and the end of whoever gives it, at the same time', () => {
  const ROUNDS = 20;

  it('AssignRole by who is losing the right: it comes before, or is refused', async () => {
    for (let round = 1; round <= ROUNDS; round++) {
      const caller = await manager();
      const [taken, given] = await atOnce(2, (index) =>
        index === 0
          ? there.roles.unassignRole({ role: caller.role, serviceAccountId: caller.id })
          : here.roles.assignRole({ role: caller.given, userId: caller.userId }, { token: caller.token }),
      );
      expect(taken?.status).toBe('fulfilled');
      const at = await rows<{ type: string }>(
        here,
        `select type from events where payload->>'role' in ($1, $2) and type in ('role.unassigned', 'role.assigned')
         order by position desc limit 1`,
        [caller.role, caller.given],
      );
      // In the order of the commits: nothing is given after the right is gone.
      expect(at).toEqual([{ type: 'role.unassigned' }]);
      if (given?.status === 'rejected') expect(given.reason).toMatchObject({ details: expect.stringContaining('identity.roles.assign') });
    }
  });

  it('ten grants of one caller at once do not wait for each other for ever', async () => {
    const caller = await manager();
    const calls = await atOnce(10, () => keyOf(here, { serviceAccountId: caller.id }));
    expect(calls.map(({ status }) => status)).toEqual(Array(10).fill('fulfilled'));
  });
});
