import { describe, expect, it } from 'vitest';
import { atOnce, required, signedIn } from '../../support/builders.ts';
import { expectStatus } from '../../support/expect-status.ts';
import { programInRoles, programWith } from '../../support/grants.ts';
import { holdEpoch, untilBlocked } from '../../support/locks.ts';
import { rows } from '../../support/rows.ts';
import { useReplicas } from '../../support/service.ts';
import { statementsWithRecognitionOf } from '../../support/statements.ts';

const { here, there } = useReplicas();

const WRITE = 'identity.api_keys.write';

interface Key {
  readonly id: string;
  readonly key: string;
  readonly expireTime: Date | undefined;
}

interface Wanted {
  readonly serviceAccountId: string;
  /** The key that makes it; absent: an administrator's. */
  readonly by?: string;
  readonly scopes?: string[];
  readonly seconds?: number;
}

async function make({ serviceAccountId, by, scopes = [], seconds }: Wanted, { apiKeys } = here): Promise<Key> {
  const ttl = seconds === undefined ? undefined : { seconds, nanos: 0 };
  const { apiKey, key } = await apiKeys.createApiKey({ serviceAccountId, name: 'x', scopes, ttl }, { token: by });
  return { id: required(apiKey).id, key, expireTime: apiKey?.expireTime };
}

const account = async (permissions = [WRITE, 'a.read', 'b.read']) => (await programWith(here, permissions)).id;

const revoke = (apiKeyId: string, token?: string) => here.apiKeys.revokeApiKey({ apiKeyId }, { token });

const works = (token: string) =>
  here.auth.getCaller({}, { token }).then(
    () => true,
    () => false,
  );

const denied = (call: Promise<unknown>) => expectStatus(call, 'PERMISSION_DENIED', 'GRANT_EXCEEDS_CALLER');

describe('a key that a key has made for its own owner', () => {
  it.each([
    ['without an end', undefined],
    ['with a later end', 5000],
  ])('ends with it at the latest, though it was asked for %s', async (_, seconds) => {
    const serviceAccountId = await account();
    const parent = await make({ serviceAccountId, seconds: 1000 });
    const child = await make({ serviceAccountId, by: parent.key, seconds });
    expect(child.expireTime).toEqual(parent.expireTime);
    const grandchild = await make({ serviceAccountId, by: child.key, seconds });
    expect(grandchild.expireTime).toEqual(parent.expireTime);
  });

  it('may end before it', async () => {
    const serviceAccountId = await account();
    const parent = await make({ serviceAccountId, seconds: 1000 });
    const child = await make({ serviceAccountId, by: parent.key, seconds: 100 });
    expect(Number(child.expireTime)).toBeLessThan(Number(parent.expireTime) - 800_000);
  });

  it('has no end where it has none', async () => {
    const serviceAccountId = await account();
    const parent = await make({ serviceAccountId });
    expect((await make({ serviceAccountId, by: parent.key })).expireTime).toBeUndefined();
  });

  it('has no scope that it has not, also where its scopes are all that the owner has', async () => {
    const serviceAccountId = await account();
    const { key: by } = await make({ serviceAccountId, scopes: [WRITE, 'a.read'] });
    for (const scopes of [[], ['*'], ['b.read'], [WRITE, 'a.read', 'b.read']]) await denied(make({ serviceAccountId, by, scopes }));
    await make({ serviceAccountId, by, scopes: ['a.read'] });

    const narrow = await account([WRITE]);
    const limited = await make({ serviceAccountId: narrow, scopes: [WRITE] });
    await denied(make({ serviceAccountId: narrow, by: limited.key }));
    await make({ serviceAccountId: narrow, by: limited.key, scopes: [WRITE] });
  });

  it('is not limited by one that is limited to everything', async () => {
    const { id } = await programInRoles(here, ['admin']);
    const parent = await make({ serviceAccountId: id, scopes: ['*'] });
    await make({ serviceAccountId: id, by: parent.key });
  });

  it('is revoked with it, and what it has made as well, and the audit trail says why', async () => {
    const serviceAccountId = await account();
    const parent = await make({ serviceAccountId });
    const children = [await make({ serviceAccountId, by: parent.key }), await make({ serviceAccountId, by: parent.key })];
    const grandchild = await make({ serviceAccountId, by: children[0]?.key ?? '' });
    const other = await make({ serviceAccountId });
    await revoke(parent.id);
    for (const { key } of [parent, ...children, grandchild]) expect(await works(key)).toBe(false);
    expect(await works(other.key)).toBe(true);
    const reasons = await rows<{ reason: string }>(
      here,
      `select metadata->>'reason' as reason from audit_events where type = 'api_key.revoked' and metadata->>'service_account_id' = $1
       order by 1`,
      [serviceAccountId],
    );
    expect(reasons.map(({ reason }) => reason)).toEqual(['parent_revoked', 'parent_revoked', 'parent_revoked', 'revoked']);
  });

  it('is revoked with it also where one between them was revoked before', async () => {
    const serviceAccountId = await account();
    const parent = await make({ serviceAccountId });
    const child = await make({ serviceAccountId, by: parent.key });
    const grandchild = await make({ serviceAccountId, by: child.key });
    await rows(here, 'update api_keys set revoked_at = now() where id = $1', [child.id]);
    await revoke(parent.id);
    expect(await works(grandchild.key)).toBe(false);
  });

  it('says in the audit trail which has made it', async () => {
    const serviceAccountId = await account();
    const parent = await make({ serviceAccountId });
    const { id } = await make({ serviceAccountId, by: parent.key });
    const [event] = await rows<{ parent: string }>(
      here,
      `select metadata->>'parent_api_key_id' as parent from audit_events where type = 'api_key.created' and metadata->>'api_key_id' = $1`,
      [id],
    );
    expect(event).toEqual({ parent: parent.id });
  });

  it('is one look-up to recognise, however long the chain is', async () => {
    const serviceAccountId = await account();
    let last = await make({ serviceAccountId });
    for (let length = 1; length <= 5; length++) last = await make({ serviceAccountId, by: last.key });
    const statements = await statementsWithRecognitionOf(() => here.auth.getCaller({}, { token: last.key }));
    expect(statements.filter((statement) => statement === 'api-keys.recognise')).toHaveLength(1);
  });
});

describe('a key is replaced', () => {
  it('by the successor that it makes, which revokes it, and goes on with what it has made', async () => {
    const serviceAccountId = await account();
    const first = await make({ serviceAccountId });
    const second = await make({ serviceAccountId, by: first.key });
    const sibling = await make({ serviceAccountId, by: first.key });
    const third = await make({ serviceAccountId, by: second.key });
    await revoke(first.id, second.key);
    expect(await works(first.key)).toBe(false);
    expect(await works(sibling.key)).toBe(false);
    for (const { key } of [second, third]) expect(await works(key)).toBe(true);
    // And so on.
    await revoke(second.id, third.key);
    expect([await works(second.key), await works(third.key)]).toEqual([false, true]);
  });

  it('also where it is limited: it may revoke itself, and its successor may', async () => {
    const serviceAccountId = await account(['identity.users.read', WRITE]);
    const first = await make({ serviceAccountId, scopes: [WRITE] });
    const second = await make({ serviceAccountId, by: first.key, scopes: [WRITE] });
    await revoke(first.id, second.key);
    expect(await works(second.key)).toBe(true);
    await revoke(second.id, second.key);
    expect(await works(second.key)).toBe(false);
  });
});

describe('a key is not derived', () => {
  it('where a key makes it for another owner', async () => {
    const serviceAccountId = await account();
    const { id } = await programInRoles(here, ['admin']);
    const admin = await make({ serviceAccountId: id, seconds: 1000 });
    const made = await make({ serviceAccountId, by: admin.key });
    expect(made.expireTime).toBeUndefined();
    await revoke(admin.id);
    expect(await works(made.key)).toBe(true);
  });

  it('where a user makes it in a session: it goes on after that', async () => {
    const { user, tokens } = await signedIn(here);
    const { key } = await here.apiKeys.createApiKey({ userId: user.id, name: 'x' }, { token: tokens.accessToken });
    await here.sessions.revokeSession({ sessionId: tokens.sessionId });
    expect(await works(key)).toBe(true);
  });
});

describe('a key that makes another while it is revoked elsewhere', () => {
  it('has made it before, if it has looked whether it works before: then both are revoked', async () => {
    const serviceAccountId = await account();
    const parent = await make({ serviceAccountId });
    const held = await holdEpoch(here);
    const made = make({ serviceAccountId, by: parent.key });
    await untilBlocked(here, 1);
    const revoked = there.apiKeys.revokeApiKey({ apiKeyId: parent.id });
    await untilBlocked(here, 2);
    await held.release();
    await revoked;
    expect(await works((await made).key)).toBe(false);
  });

  it('makes none, if it is being revoked when it looks', async () => {
    const serviceAccountId = await account();
    const parent = await make({ serviceAccountId });
    await works(parent.key);
    const held = await holdEpoch(here);
    const revoked = there.apiKeys.revokeApiKey({ apiKeyId: parent.id });
    await untilBlocked(here, 1);
    const made = expectStatus(make({ serviceAccountId, by: parent.key }), 'UNAUTHENTICATED', 'CALLER_UNAUTHENTICATED');
    await untilBlocked(here, 2);
    await held.release();
    await Promise.all([revoked, made]);
  });

  it('leaves nothing that works', async () => {
    for (let round = 1; round <= 20; round++) {
      const serviceAccountId = await account();
      const parent = await make({ serviceAccountId });
      await works(parent.key);
      const [made, revoked] = await atOnce<Key | unknown>(2, (index) =>
        index === 0 ? make({ serviceAccountId, by: parent.key }) : there.apiKeys.revokeApiKey({ apiKeyId: parent.id }),
      );
      expect(revoked?.status).toBe('fulfilled');
      const alive = await rows(here, 'select 1 from api_keys where parent_id = $1 and revoked_at is null', [parent.id]);
      expect(alive).toEqual([]);
      if (made?.status === 'rejected') expect(made.reason).toMatchObject({ details: expect.stringMatching(/credentials/) });
    }
  });
});
