import { describe, expect, it } from 'vitest';
import { PASSWORD, signedIn } from '../support/builders.ts';
import { expectInvalid } from '../support/expect-status.ts';
import { keyOf, newName, programInRoles } from '../support/grants.ts';
import { useService } from '../support/service.ts';

const service = useService({ MAX_SESSIONS: '100' });

interface PageRequest {
  readonly pageSize?: number;
  readonly pageToken?: string;
}

interface Listed {
  readonly names: string[];
  readonly nextPageToken: string;
}

/** A list, its rows in the order that it must have, and the same list with another filter, if it has one. */
interface List {
  readonly page: (request: PageRequest, token?: string) => Promise<Listed>;
  readonly expected: readonly string[];
  readonly ofOthers?: (request: PageRequest) => Promise<unknown>;
}

const LISTS: Readonly<Record<string, () => Promise<List>>> = {
  async ListRoles() {
    const names = Array.from({ length: 5 }, newName);
    for (const name of names) await service.roles.createRole({ role: { name, permissions: ['a.read', 'b.read'] } });
    return {
      page: async (request, token) => {
        const { roles, nextPageToken } = await service.roles.listRoles(request, { token });
        return { names: roles.map(({ name, permissions }) => (permissions.includes('b.read') ? name : `${name}!`)), nextPageToken };
      },
      expected: names.sort(),
    };
  },
  async ListServiceAccounts() {
    const names: string[] = [];
    for (let made = 0; made < 5; made++) names.push((await programInRoles(service, ['reader', 'service'])).name);
    return {
      page: async (request, token) => {
        const { serviceAccounts, nextPageToken } = await service.serviceAccounts.listServiceAccounts(request, { token });
        return { names: serviceAccounts.map(({ name, roles }) => (roles.length === 2 ? name : `${name}!`)), nextPageToken };
      },
      expected: names.sort(),
    };
  },
  async ListApiKeys() {
    const { user, tokens } = await signedIn(service);
    const ids: string[] = [];
    for (let made = 0; made < 5; made++) {
      const { apiKey } = await service.apiKeys.createApiKey({ userId: user.id, name: 'a key' }, { token: tokens.accessToken });
      ids.push(apiKey?.id ?? '');
      service.clock.advance(1);
    }
    const { id: serviceAccountId } = await programInRoles(service, []);
    return {
      page: async (request, token) => {
        const { apiKeys, nextPageToken } = await service.apiKeys.listApiKeys({ userId: user.id, ...request }, { token });
        return { names: apiKeys.map(({ id }) => id), nextPageToken };
      },
      expected: ids.reverse(),
      ofOthers: (request) => service.apiKeys.listApiKeys({ serviceAccountId, ...request }),
    };
  },
  async ListSessions() {
    const { user, tokens } = await signedIn(service);
    const ids = [tokens.sessionId];
    for (let made = 0; made < 4; made++) {
      service.clock.advance(1);
      ids.push((await service.auth.login({ email: user.email, password: PASSWORD })).tokens?.sessionId ?? '');
    }
    const other = await signedIn(service);
    return {
      page: async (request, token) => {
        const { sessions, nextPageToken } = await service.sessions.listSessions({ userId: user.id, ...request }, { token });
        return { names: sessions.map(({ id }) => id), nextPageToken };
      },
      expected: ids.reverse(),
      ofOthers: (request) => service.sessions.listSessions({ userId: other.user.id, ...request }),
    };
  },
};

/** Every row of a list, read in pages. */
async function readAll({ page }: List, pageSize: number): Promise<string[]> {
  const names: string[] = [];
  let pageToken = '';
  do {
    const listed = await page({ pageSize, pageToken });
    expect(listed.names.length).toBeLessThanOrEqual(pageSize);
    names.push(...listed.names);
    pageToken = listed.nextPageToken;
  } while (pageToken !== '');
  return names;
}

describe.each(Object.entries(LISTS))('%s', (_, made) => {
  it('gives every row once, in order, whatever the size of its pages', async () => {
    const list = await made();
    for (const pageSize of [1, 2, 4, 5, 1000]) {
      expect((await readAll(list, pageSize)).filter((name) => list.expected.includes(name))).toEqual(list.expected);
    }
  });

  it('takes no page token that was made up, or given to another caller or for another filter', async () => {
    const list = await made();
    const { nextPageToken } = await list.page({ pageSize: 2 });
    expect(nextPageToken).not.toBe('');
    const admin = await programInRoles(service, ['admin']);
    const calls = [
      () => list.page({ pageSize: 2, pageToken: 'made up' }),
      () => list.page({ pageSize: 2, pageToken: nextPageToken }, admin.key),
      ...(list.ofOthers ? [() => list.ofOthers?.({ pageSize: 2, pageToken: nextPageToken })] : []),
    ];
    for (const call of calls) await expectInvalid(Promise.resolve(call()), ['page_token']);
  });

  it('refuses a negative size', async () => {
    const list = await made();
    await expectInvalid(list.page({ pageSize: -1 }), ['page_size']);
  });
});

it('is 50 rows long where nobody says', async () => {
  const { id: serviceAccountId } = await programInRoles(service, []);
  // It came with one.
  for (let made = 1; made < 51; made++) await keyOf(service, { serviceAccountId });
  const first = await service.apiKeys.listApiKeys({ serviceAccountId });
  expect(first.apiKeys).toHaveLength(50);
  const second = await service.apiKeys.listApiKeys({ serviceAccountId, pageToken: first.nextPageToken });
  expect(second).toMatchObject({ apiKeys: [expect.anything()], nextPageToken: '' });
});
