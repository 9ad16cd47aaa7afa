import { describe, expect, it } from 'vitest';
import { hashApiKey } from '../../src/access/api-keys/api-key-format.ts';
import { register, required } from '../support/builders.ts';
import { expectStatus } from '../support/expect-status.ts';
import { keyOf, programInRoles, programWith, roleWith } from '../support/grants.ts';
import { holdAnswer } from '../support/held-answers.ts';
import { useReplicas } from '../support/service.ts';
import { untilChangesAreKnown } from '../support/statements.ts';

const { database, here, there } = useReplicas();

/** Calls here with a key that is not known yet; while it is looked up, something changes, and everybody knows that before the answer is there. */
async function overtaken(key: string, change: () => Promise<unknown>): Promise<void> {
  const answer = holdAnswer('api_keys', hashApiKey(key));
  const first = here.auth.getCaller({}, { token: key });
  await answer.answered();
  await change();
  await untilChangesAreKnown(database, 2);
  answer.release();
  // Asked before the change: that is the answer of then.
  await first;
}

const expectRefused = (token: string) => expectStatus(here.auth.getCaller({}, { token }), 'UNAUTHENTICATED', 'CALLER_UNAUTHENTICATED');

describe('what a key was found to stand for is not remembered', () => {
  it('where the key was revoked meanwhile', async () => {
    const { id, key } = await programWith(here, ['a.read']);
    const [apiKey] = (await here.apiKeys.listApiKeys({ serviceAccountId: id })).apiKeys;
    await overtaken(key, () => there.apiKeys.revokeApiKey({ apiKeyId: required(apiKey).id }));
    await expectRefused(key);
  });

  it('where its user was deactivated or erased meanwhile', async () => {
    const [deactivated, erased] = [await register(here), await register(here)];
    const keys = [await keyOf(here, { userId: deactivated.id }), await keyOf(here, { userId: erased.id })] as const;
    await overtaken(keys[0], () => there.users.deactivateUser({ userId: deactivated.id }));
    await overtaken(keys[1], () => there.users.deleteUser({ userId: erased.id }));
    for (const key of keys) await expectRefused(key);
  });

  it('where its service account lost a role meanwhile', async () => {
    const role = await roleWith(here, ['a.read']);
    const { id, key } = await programInRoles(here, [role]);
    await overtaken(key, () => there.roles.unassignRole({ role, serviceAccountId: id }));
    expect((await here.auth.getCaller({}, { token: key })).permissions).toEqual([]);
  });
});
