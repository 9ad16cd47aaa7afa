import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hashApiKey } from '../../src/access/api-keys/api-key-format.ts';
import { register, required, signedIn } from '../support/builders.ts';
import { createDatabase } from '../support/database.ts';
import { expectStatus } from '../support/expect-status.ts';
import { keyOf, programInRoles, programWith, roleWith } from '../support/grants.ts';
import { holdAnswer } from '../support/held-answers.ts';
import { startService, type TestService } from '../support/service.ts';

/** A service that never hears of a new epoch, for there is none to read: what it obeys at all, it obeys because it has done it itself. */
let service: TestService;

beforeAll(async () => {
  const database = await createDatabase();
  service = await startService({}, database);
  await database.pool.query('delete from authorization_epoch');
});

afterAll(async () => {
  await service?.stop();
  await service?.database.drop();
});

const permissionsOf = async (token: string) => (await service.auth.getCaller({}, { token })).permissions;

const expectRefused = (token: string) => expectStatus(permissionsOf(token), 'UNAUTHENTICATED', 'CALLER_UNAUTHENTICATED');

/** Somebody who calls, with the right `a.read`; and what is taken from them, or given to them. */
interface Subject {
  readonly token: string;
  readonly role: string;
  readonly userId?: string;
  readonly serviceAccountId?: string;
  readonly apiKeyId?: string;
}

async function program(): Promise<Subject> {
  const role = await roleWith(service, ['a.read']);
  const { id, key } = await programInRoles(service, [role]);
  const [apiKey] = (await service.apiKeys.listApiKeys({ serviceAccountId: id })).apiKeys;
  return { token: key, role, serviceAccountId: id, apiKeyId: required(apiKey).id };
}

async function person(): Promise<Subject> {
  const role = await roleWith(service, ['a.read']);
  const { user, tokens } = await signedIn(service);
  await service.roles.assignRole({ role, userId: user.id });
  return { token: tokens.accessToken, role, userId: user.id };
}

async function keyOfPerson(): Promise<Subject> {
  const { role, userId = '' } = await person();
  const { apiKey, key } = await service.apiKeys.createApiKey({ userId, name: 'theirs' });
  return { token: key, role, userId, apiKeyId: required(apiKey).id };
}

const SUBJECTS = [
  ['a service account', program],
  ['a user, by an access token', person],
  ['a user, by an API key', keyOfPerson],
] as const;

const subjectOf = ({ userId, serviceAccountId }: Subject) => (userId === undefined ? { serviceAccountId } : { userId });

type Change = (subject: Subject) => Promise<unknown>;

const TAKES_ALL_RIGHTS: readonly (readonly [string, Change])[] = [
  ['UnassignRole', (subject) => service.roles.unassignRole({ role: subject.role, ...subjectOf(subject) })],
  ['UpdateRole', ({ role }) => service.roles.updateRole({ role: { name: role, permissions: [] } })],
  ['DeleteRole', ({ role }) => service.roles.deleteRole({ name: role })],
];

describe.each(SUBJECTS)('what is answered is in force for the next call of %s', (_, make) => {
  it.each(TAKES_ALL_RIGHTS)('after %s', async (_name, change) => {
    const subject = await make();
    expect(await permissionsOf(subject.token)).toEqual(['a.read']);
    await change(subject);
    expect(await permissionsOf(subject.token)).toEqual([]);
  });

  it('after AssignRole', async () => {
    const subject = await make();
    await permissionsOf(subject.token);
    await service.roles.assignRole({ role: await roleWith(service, ['b.read']), ...subjectOf(subject) });
    expect(await permissionsOf(subject.token)).toEqual(['a.read', 'b.read']);
  });
});

const ENDS: readonly (readonly [string, () => Promise<Subject>, Change])[] = [
  ['RevokeApiKey of a service account', program, ({ apiKeyId }) => service.apiKeys.revokeApiKey({ apiKeyId })],
  ['RevokeApiKey of a user', keyOfPerson, ({ apiKeyId }) => service.apiKeys.revokeApiKey({ apiKeyId })],
  ['RevokeAllSessions with the keys', keyOfPerson, ({ userId }) => service.sessions.revokeAllSessions({ userId, revokeApiKeys: true })],
  ['DeactivateUser, for a key', keyOfPerson, ({ userId }) => service.users.deactivateUser({ userId })],
  ['DeactivateUser, for a token', person, ({ userId }) => service.users.deactivateUser({ userId })],
  ['DeleteUser, for a key', keyOfPerson, ({ userId }) => service.users.deleteUser({ userId })],
  ['DeleteServiceAccount', program, ({ serviceAccountId }) => service.serviceAccounts.deleteServiceAccount({ serviceAccountId })],
];

describe('a caller who was thrown out is refused by the next call', () => {
  it.each(ENDS)('after %s', async (_, make, end) => {
    const subject = await make();
    await permissionsOf(subject.token);
    await end(subject);
    await expectRefused(subject.token);
  });

  it.each(ENDS.filter(([, make]) => make !== person))(
    'also where a look-up that has begun before is answered after %s',
    async (_, make, end) => {
      const subject = await make();
      const answer = holdAnswer('api_keys', hashApiKey(subject.token));
      const first = permissionsOf(subject.token);
      await answer.answered();
      await end(subject);
      answer.release();
      // Asked before the change: that is the answer of then.
      await first;
      await expectRefused(subject.token);
    },
  );
});

it('a reactivated user may call at once', async () => {
  const { token, userId = '' } = await keyOfPerson();
  await service.users.deactivateUser({ userId });
  await expectRefused(token);
  await service.users.reactivateUser({ userId });
  expect(await permissionsOf(token)).toEqual(['a.read']);
});

it('a change behind the back of the service is not heard of here: what the tests above see is not the tail', async () => {
  const { token, apiKeyId } = await program();
  await permissionsOf(token);
  await service.database.pool.query('update api_keys set revoked_at = now() where id = $1', [apiKeyId]);
  // Where the answers about changes are late it asks the database, but forgets nothing.
  await expect.poll(() => permissionsOf(token).catch(() => 'refused'), { timeout: 5000 }).toEqual(['a.read']);
});

it('who loses the right to give roles has lost it for the next call', async () => {
  const role = await roleWith(service, ['identity.roles.assign', 'a.read']);
  const { id, key } = await programInRoles(service, [role]);
  const given = await roleWith(service, ['a.read']);
  const user = await register(service);
  const assign = () => service.roles.assignRole({ role: given, userId: user.id }, { token: key });
  await assign();
  await service.roles.unassignRole({ role, serviceAccountId: id });
  await expectStatus(assign(), 'PERMISSION_DENIED', 'PERMISSION_DENIED');
});

it('a revoked key makes itself no other', async () => {
  const { id, key } = await programWith(service, ['identity.api_keys.write']);
  const [apiKey] = (await service.apiKeys.listApiKeys({ serviceAccountId: id })).apiKeys;
  await keyOf(service, { serviceAccountId: id });
  await service.auth.getCaller({}, { token: key });
  await service.apiKeys.revokeApiKey({ apiKeyId: required(apiKey).id });
  const again = service.apiKeys.createApiKey({ serviceAccountId: id, name: 'x' }, { token: key });
  await expectStatus(again, 'UNAUTHENTICATED', 'CALLER_UNAUTHENTICATED');
});
