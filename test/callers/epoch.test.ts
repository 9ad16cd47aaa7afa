import { describe, expect, test } from 'vitest';
import { register, required, signedIn } from '../support/builders.ts';
import { failureOf } from '../support/expect-status.ts';
import { keyOf, programInRoles, programWith, roleWith } from '../support/grants.ts';
import { rows } from '../support/rows.ts';
import { startService, useReplicas } from '../support/service.ts';
import { PROMISED_MS, staleFor } from '../support/staleness.ts';
import { statementsOf, statementsWithRecognitionOf, untilChangesAreKnown } from '../support/statements.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';

/** Things are changed here, and the change has to be obeyed there. */
const { database, here, there } = useReplicas();

/** What the other replica takes a caller for; undefined: for nobody. */
async function seenThere(token: string): Promise<string[] | undefined> {
  return there.auth.getCaller({}, { token }).then(
    ({ permissions }) => permissions,
    (error) => {
      if (!String(error.details).includes('valid credentials')) throw error;
      return undefined;
    },
  );
}

/** Expects that the other replica, which knows the caller as `before`, soon takes it for `after`. */
async function expectObeyed(token: string, before: string[], change: () => Promise<unknown>, after: string[] | undefined): Promise<void> {
  // Twice, so that the second answer is one from memory.
  expect(await seenThere(token)).toEqual(before);
  expect(await seenThere(token)).toEqual(before);
  await change();
  expect(await staleFor(async () => JSON.stringify(await seenThere(token)) === JSON.stringify(before))).toBeLessThanOrEqual(PROMISED_MS);
  expect(await seenThere(token)).toEqual(after);
}

describe('every replica soon obeys', () => {
  test('a revoked key', async () => {
    const { id, key } = await programWith(here, ['a.read']);
    const [apiKey] = (await here.apiKeys.listApiKeys({ serviceAccountId: id })).apiKeys;
    await expectObeyed(key, ['a.read'], () => here.apiKeys.revokeApiKey({ apiKeyId: required(apiKey).id }), undefined);
  });

  test('an assigned and an unassigned role of a service account', async () => {
    const { id, key } = await programWith(here, ['a.read']);
    const role = await roleWith(here, ['b.read']);
    await expectObeyed(key, ['a.read'], () => here.roles.assignRole({ role, serviceAccountId: id }), ['a.read', 'b.read']);
    await expectObeyed(key, ['a.read', 'b.read'], () => here.roles.unassignRole({ role, serviceAccountId: id }), ['a.read']);
  });

  test('an assigned and an unassigned role of a user, by key and by access token', async () => {
    const { user, tokens } = await signedIn(here);
    const role = await roleWith(here, ['b.read']);
    const key = await keyOf(here, { userId: user.id });
    await expectObeyed(tokens.accessToken, [], () => here.roles.assignRole({ role, userId: user.id }), ['b.read']);
    await expectObeyed(key, ['b.read'], () => here.roles.unassignRole({ role, userId: user.id }), []);
    await expectObeyed(tokens.accessToken, [], () => here.roles.assignRole({ role, userId: user.id }), ['b.read']);
  });

  test('a changed and a deleted role', async () => {
    const role = await roleWith(here, ['a.read']);
    const { key } = await programInRoles(here, [role]);
    await expectObeyed(key, ['a.read'], () => here.roles.updateRole({ role: { name: role, permissions: ['a.write'] } }), ['a.write']);
    await expectObeyed(key, ['a.write'], () => here.roles.deleteRole({ name: role }), []);
  });

  test('a deactivated and a reactivated user', async () => {
    const user = await register(here);
    const key = await keyOf(here, { userId: user.id });
    await expectObeyed(key, [], () => here.users.deactivateUser({ userId: user.id }), undefined);
    await here.users.reactivateUser({ userId: user.id });
    expect(await staleFor(async () => (await seenThere(key)) === undefined)).toBeLessThanOrEqual(PROMISED_MS);
    expect(await seenThere(key)).toEqual([]);
  });

  test('an erased user', async () => {
    const user = await register(here);
    const key = await keyOf(here, { userId: user.id });
    await expectObeyed(key, [], () => here.users.deleteUser({ userId: user.id }), undefined);
  });

  test('a deleted service account', async () => {
    const { id, key } = await programWith(here, ['a.read']);
    await expectObeyed(key, ['a.read'], () => here.serviceAccounts.deleteServiceAccount({ serviceAccountId: id }), undefined);
  });

  test('what plain SQL changes', async () => {
    const role = await roleWith(here, ['a.read']);
    const { id, key } = await programInRoles(here, [role]);
    const sql = (text: string, values: string[]) => () => rows(here, text, values);
    await expectObeyed(
      key,
      ['a.read'],
      sql(`insert into role_permissions (role_id, permission) select id, 'b.read' from roles where name = $1`, [role]),
      ['a.read', 'b.read'],
    );
    await expectObeyed(
      key,
      ['a.read', 'b.read'],
      sql(
        `update role_permissions set permission = 'c.read' where permission = 'a.read' and role_id = (select id from roles where name = $1)`,
        [role],
      ),
      ['b.read', 'c.read'],
    );
    await expectObeyed(key, ['b.read', 'c.read'], sql('delete from service_account_roles where service_account_id = $1', [id]), []);
    await expectObeyed(key, [], sql('update api_keys set revoked_at = now() where service_account_id = $1', [id]), undefined);
    await expectObeyed(
      await keyOf(here, { serviceAccountId: id }),
      [],
      sql('update service_accounts set is_active = false where id = $1', [id]),
      undefined,
    );
  });
});

test('the epoch is asked for together with the events, in one statement', async () => {
  const statements = await statementsOf(() => untilChangesAreKnown(database, 2));
  expect(statements.filter((statement) => /authorization_epoch|events/.test(String(statement)))).toEqual([]);
});

describe('checking a known caller', () => {
  const COUNT_CALLS = 'rate-limits.count';
  const isAboutKeys = (statement: unknown) => statement === 'api-keys.recognise';
  const untilSettled = () => untilChangesAreKnown(database, 2);

  const hundredCalls = (token: string) => async () => {
    for (let call = 0; call < 100; call++) await here.auth.getCaller({}, { token });
  };

  test('costs no statement with a key: not of a service account, not of a user', async () => {
    const { key } = await programWith(here, ['a.read']);
    const user = await register(here);
    const userKey = await keyOf(here, { userId: user.id });
    for (const token of [key, userKey]) {
      await untilSettled();
      await here.auth.getCaller({}, { token });
      const asked = async () => (await statementsWithRecognitionOf(hundredCalls(token))).filter((statement) => statement !== COUNT_CALLS);
      // Asked anew on a busy machine, where the service does not hear of changes in time, but not with every hundred calls.
      await expect.poll(asked).toEqual([]);
    }
  });

  test('asks the rate limits only now and then', async () => {
    const { key } = await programWith(here, ['a.read']);
    await untilSettled();
    const statements = await statementsWithRecognitionOf(hundredCalls(key));
    expect(statements.filter((statement) => statement === COUNT_CALLS).length).toBeLessThanOrEqual(5);
  });

  test('counts what it sends: an unknown key is looked up', async () => {
    const { key } = await programWith(here, ['a.read']);
    const statements = await statementsWithRecognitionOf(() => here.auth.getCaller({}, { token: key }));
    expect(statements.filter(isAboutKeys).length).toBeGreaterThan(0);
  });

  test('costs no statement with a key that is refused for its checksum', async () => {
    const statements = await statementsWithRecognitionOf(() => failureOf(here.auth.getCaller({}, { token: `idk_${'0'.repeat(36)}` })));
    expect(statements.filter(isAboutKeys)).toEqual([]);
  });
});

test('without a database nobody is served from memory: a change could not be heard of', async () => {
  const proxy = await startTcpProxy(database.url);
  const cutOff = await startService({}, { ...database, url: proxy.url });
  try {
    await cutOff.auth.getCaller({});
    await proxy.refuse();
    await expect
      .poll(
        () =>
          cutOff.auth.getCaller({}).then(
            () => 'served',
            async (error) => (await failureOf(Promise.reject(error))).code,
          ),
        {
          interval: 20,
          timeout: 5000,
        },
      )
      .toBe('UNAVAILABLE');
    await proxy.restore();
    await expect
      .poll(
        () =>
          cutOff.auth.getCaller({}).then(
            () => 'served',
            () => 'refused',
          ),
        { interval: 20, timeout: 5000 },
      )
      .toBe('served');
  } finally {
    await cutOff.stop();
    await proxy.close();
  }
});
