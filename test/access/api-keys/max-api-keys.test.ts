import { describe, expect, it } from 'vitest';
import { apiKeyCleanup } from '../../../src/access/api-keys/api-key-cleanup.ts';
import { runCleanup } from '../../../src/jobs/cleanup.ts';
import { atOnce, required, signedIn } from '../../support/builders.ts';
import { expectStatus } from '../../support/expect-status.ts';
import { programInRoles } from '../../support/grants.ts';
import { rows } from '../../support/rows.ts';
import { useService } from '../../support/service.ts';

const MAX = 4;
const DAY = 86_400;

const service = useService({ MAX_API_KEYS: String(MAX) });

type Owner = { readonly userId: string } | { readonly serviceAccountId: string };

const make = (owner: Owner, ttl?: number) =>
  service.apiKeys.createApiKey({ ...owner, name: 'a key', ttl: ttl === undefined ? undefined : { seconds: ttl, nanos: 0 } });

async function makeAndRevoke(owner: Owner): Promise<string> {
  const { id } = required((await make(owner)).apiKey);
  await service.apiKeys.revokeApiKey({ apiKeyId: id });
  return id;
}

const refused = (owner: Owner) => expectStatus(make(owner), 'FAILED_PRECONDITION', 'TOO_MANY_API_KEYS');

const stored = async (owner: Owner) => {
  const [column, id] = 'userId' in owner ? ['user_id', owner.userId] : ['service_account_id', owner.serviceAccountId];
  return rows<{ id: string }>(service, `select id from api_keys where ${column} = $1 order by created_at`, [id]);
};

const OWNERS: readonly [string, () => Promise<Owner>][] = [
  ['a user', async () => ({ userId: (await signedIn(service)).user.id })],
  ['a service account', async () => ({ serviceAccountId: (await programInRoles(service, [])).id })],
];

describe.each(OWNERS)('CreateApiKey for %s', (_, newOwner) => {
  /** A service account comes with a key. */
  async function ownerWithoutKeys(): Promise<Owner> {
    const owner = await newOwner();
    for (const { id } of await stored(owner)) await service.apiKeys.revokeApiKey({ apiKeyId: id });
    return owner;
  }

  it('refuses one more than MAX_API_KEYS, and says how many that is', async () => {
    const owner = await ownerWithoutKeys();
    for (let made = 0; made < MAX; made++) await make(owner);
    const { metadata } = await refused(owner);
    expect(metadata).toEqual({ limit: String(MAX) });
  });

  it('gives exactly so many to twelve who ask at once', async () => {
    const owner = await ownerWithoutKeys();
    const results = await atOnce(12, () => make(owner));
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(MAX);
  });

  it('counts no key that was revoked or has expired', async () => {
    const owner = await ownerWithoutKeys();
    const { id } = required((await make(owner)).apiKey);
    for (let made = 1; made < MAX; made++) await make(owner, 10);
    await refused(owner);
    await service.apiKeys.revokeApiKey({ apiKeyId: id });
    await make(owner);
    await refused(owner);
    service.clock.advance(10);
    for (let made = 1; made < MAX; made++) await make(owner);
    await refused(owner);
  });

  it('keeps no more than so many keys that do not work any more: the newest', async () => {
    const owner = await ownerWithoutKeys();
    const ids: string[] = [];
    for (let made = 0; made < 3 * MAX; made++) {
      ids.push(await makeAndRevoke(owner));
      service.clock.advance(1);
    }
    const { id } = required((await make(owner)).apiKey);
    expect(await stored(owner)).toEqual([...ids.slice(-MAX), id].map((kept) => ({ id: kept })));
  });
});

describe('housekeeping', () => {
  const clean = () => runCleanup(service.app.orm.em, service.clock.now(), apiKeyCleanup);

  it('deletes a key a month after it was revoked or has expired, and no other', async () => {
    const owner = { userId: (await signedIn(service)).user.id };
    const lasting = required((await make(owner)).apiKey).id;
    await make(owner, DAY);
    service.clock.advance(DAY);
    await makeAndRevoke(owner);
    service.clock.advance(30 * DAY - 1);
    await clean();
    expect(await stored(owner)).toHaveLength(3);
    service.clock.advance(1);
    await clean();
    expect(await stored(owner)).toEqual([{ id: lasting }]);
  });
});
