import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { readAccess } from '../../src/rpc/access.ts';
import { DESCRIPTORS } from '../../src/rpc/descriptors.ts';
import { PASSWORD, required, signedIn } from '../support/builders.ts';
import { expectStatus } from '../support/expect-status.ts';
import { keyOf, programInRoles, roleWith } from '../support/grants.ts';
import { rows } from '../support/rows.ts';
import { useService } from '../support/service.ts';

const service = useService();

/** Every permission that an RPC of ours asks for. */
const ALL = [...new Set([...readAccess(DESCRIPTORS).values()].map(({ permission }) => permission))].filter((name) => name !== '');

/** Somebody whose things others may not touch. */
interface Victim {
  readonly userId: string;
  readonly sessionId: string;
  readonly apiKeyId: string;
}

let victim: Victim;

beforeAll(async () => {
  const { user, tokens } = await signedIn(service);
  const { apiKey } = await service.apiKeys.createApiKey({ userId: user.id, name: 'theirs' });
  victim = { userId: user.id, sessionId: tokens.sessionId, apiKeyId: required(apiKey).id };
});

type Attempt = (token: string, victim: Victim) => Promise<unknown>;

interface Guarded {
  /** The only one that permits it. */
  readonly permission: string;
  readonly attempt: Attempt;
  /** What an end user is told, who may call this for what is theirs. */
  readonly told: Parameters<typeof expectStatus> extends [unknown, ...infer Status] ? Status : never;
}

const DENIED = ['PERMISSION_DENIED', 'PERMISSION_DENIED'] as const;

const GUARDED: Readonly<Record<string, Guarded>> = {
  RevokeSession: {
    permission: 'identity.sessions.write',
    attempt: (token, { sessionId }) => service.sessions.revokeSession({ sessionId }, { token }),
    told: ['NOT_FOUND', 'SESSION_NOT_FOUND'],
  },
  RevokeAllSessions: {
    permission: 'identity.sessions.write',
    attempt: (token, { userId }) => service.sessions.revokeAllSessions({ userId }, { token }),
    told: [...DENIED],
  },
  RevokeApiKey: {
    permission: 'identity.api_keys.write',
    attempt: (token, { apiKeyId }) => service.apiKeys.revokeApiKey({ apiKeyId }, { token }),
    told: ['NOT_FOUND', 'API_KEY_NOT_FOUND'],
  },
  CreateApiKey: {
    permission: 'identity.api_keys.write',
    attempt: (token, { userId }) => service.apiKeys.createApiKey({ userId, name: 'mine' }, { token }),
    told: [...DENIED],
  },
  ChangePassword: {
    permission: 'identity.passwords.write',
    attempt: (token, { userId }) =>
      service.auth.changePassword({ userId, currentPassword: PASSWORD, newPassword: 'another good passphrase' }, { token }),
    told: [...DENIED],
  },
  'CheckPassword of a user': {
    permission: 'identity.passwords.write',
    attempt: (token, { userId }) => service.auth.checkPassword({ userId, password: PASSWORD }, { token }),
    told: [...DENIED],
  },
};

/** All that an attempt could have changed. */
const state = () =>
  rows(
    service,
    `select u.password_hash, u.failed_attempts, (select count(*)::int from sessions s where s.user_id = u.id and revoked_at is null) as sessions,
       (select count(*)::int from api_keys k where k.user_id = u.id and revoked_at is null) as keys,
       (select count(*)::int from audit_events a where a.user_id = u.id) as events
     from users u where id = $1`,
    [victim.userId],
  );

/** Nobody: what is not there looks like what is not theirs. */
const absent = (): Victim => ({ userId: randomUUID(), sessionId: randomUUID(), apiKeyId: randomUUID() });

/** Callers with these permissions, of every kind: what an end user is told, and what others are. */
async function callersWith(permissions: readonly string[]) {
  const role = await roleWith(service, [...permissions]);
  const { user, tokens } = await signedIn(service);
  await service.roles.assignRole({ role, userId: user.id });
  const scoped = await keyOf(service, { userId: user.id }, [...permissions]);
  const { key } = await programInRoles(service, [role]);
  const granted = async () => (await service.auth.getCaller({}, { token: tokens.accessToken })).permissions;
  await expect.poll(granted, { timeout: 5000 }).toEqual([...permissions].toSorted());
  return { user: tokens.accessToken, others: [scoped, key] };
}

describe('without the permission to change it, nobody touches what is not theirs', () => {
  it.each(Object.entries(GUARDED))('%s: not with every other permission', async (_, { permission, attempt, told }) => {
    expect(ALL).toContain(permission);
    const callers = await callersWith(ALL.filter((name) => name !== permission));
    const before = await state();
    for (const target of [victim, absent()]) {
      await expectStatus(attempt(callers.user, target), ...told);
      for (const token of callers.others) {
        const { metadata } = await expectStatus(attempt(token, target), ...DENIED);
        expect(metadata.permission).toBe(permission);
      }
    }
    expect(await state()).toEqual(before);
  });

  it.each(Object.entries(GUARDED))('%s: not with the permission to read it', async (_, { permission, attempt, told }) => {
    const callers = await callersWith([permission.replace('passwords.write', 'users.read').replace('write', 'read')]);
    const before = await state();
    await expectStatus(attempt(callers.user, victim), ...told);
    for (const token of callers.others) await expectStatus(attempt(token, victim), ...DENIED);
    expect(await state()).toEqual(before);
  });
});

describe('what belongs to a service account', () => {
  it('is touched by no user without the permission', async () => {
    const { id, key } = await programInRoles(service, []);
    const apiKeyId = required((await service.apiKeys.listApiKeys({ serviceAccountId: id })).apiKeys[0]).id;
    const callers = await callersWith(ALL.filter((name) => name !== 'identity.api_keys.write'));
    await expectStatus(service.apiKeys.revokeApiKey({ apiKeyId }, { token: callers.user }), 'NOT_FOUND', 'API_KEY_NOT_FOUND');
    await service.auth.getCaller({}, { token: key });
  });
});
