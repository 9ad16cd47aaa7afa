import type { ServiceError } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Tokens } from '../../src/gen/identity/v1/tokens.ts';
import type { User } from '../../src/gen/identity/v1/user.ts';
import { atOnce, logIn, PASSWORD, register, required, signedIn } from '../support/builders.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { decode, expectStatus } from '../support/expect-status.ts';
import { rows } from '../support/rows.ts';
import { startService, type TestService, useService } from '../support/service.ts';
import { endingsOf, eventsOfSession, expectAlive, expectDead, refresh, refreshTimes, sha256 } from '../support/sessions.ts';

function fulfilled<T>(results: PromiseSettledResult<T>[]): T[] {
  return results.map((result) => {
    if (result.status === 'rejected') throw result.reason;
    return result.value;
  });
}

/** All answers are the same successor, it is the current one, and the session was rotated once: no other came between. */
async function expectOneChain(service: TestService, presented: Tokens, answers: Tokens[]): Promise<void> {
  expect(new Set(answers.map(({ refreshToken }) => refreshToken)).size).toBe(1);
  const successor = required(answers[0]);
  const sql =
    'select refresh_hash as current, refreshed_at is not null as rotated, earlier_rotations as earlier from sessions where id = $1';
  const [session] = await rows(service, sql, [presented.sessionId]);
  expect(session).toEqual({ current: sha256(successor.refreshToken), rotated: true, earlier: null });
  await expectAlive(service, successor);
}

describe('RefreshToken in parallel', () => {
  const service = useService();

  it.each([2, 20])('gives %d calls with one token one and the same successor', async (calls) => {
    const { tokens } = await signedIn(service);
    const answers = fulfilled(await atOnce(calls, () => refresh(service, tokens.refreshToken)));
    await expectOneChain(service, tokens, answers);
  });

  it('gives calls to two servers on one database one and the same successor', async () => {
    const other = await startService({}, service.database);
    try {
      for (let round = 1; round <= 5; round++) {
        const { tokens } = await signedIn(service);
        const answers = fulfilled(await atOnce(8, (index) => refresh(index % 2 ? other : service, tokens.refreshToken)));
        await expectOneChain(service, tokens, answers);
      }
    } finally {
      await other.stop();
    }
  });

  it('ends a session once, however many replay a used token at once', async () => {
    const { tokens } = await signedIn(service);
    await refreshTimes(service, tokens, 2);
    service.clock.advance(10);
    const replay = () =>
      expectStatus(service.auth.refreshToken({ refreshToken: tokens.refreshToken }), 'UNAUTHENTICATED', 'INVALID_REFRESH_TOKEN');
    fulfilled(await atOnce(10, replay));
    const events = await eventsOfSession(service, tokens.sessionId);
    expect(events.map(({ type }) => type)).toEqual(['session.refresh_reused', 'session.revoked']);
  });
});

describe('RefreshToken in parallel, with REFRESH_GRACE=0', () => {
  const service = useService({ REFRESH_GRACE: '0' });

  it('gives two calls with one token one and the same successor, too', async () => {
    for (let round = 1; round <= 5; round++) {
      const { tokens } = await signedIn(service);
      await expectOneChain(service, tokens, fulfilled(await atOnce(2, () => refresh(service, tokens.refreshToken))));
    }
  });
});

/** What ends sessions: all of the user's, or the first one. */
interface Ender {
  readonly rpc: string;
  readonly sessions: number;
  /** In the audit; absent where no event of it says whose session it was. */
  readonly reason?: string;
  readonly end: (service: TestService, user: User, first: Tokens) => Promise<unknown>;
}

const ENDERS: Ender[] = [
  {
    rpc: 'RevokeSession',
    sessions: 1,
    reason: 'revoked',
    end: ({ sessions }, _, { sessionId }) => sessions.revokeSession({ sessionId }),
  },
  {
    rpc: 'RevokeEverySession',
    sessions: 3,
    end: ({ sessions }) => sessions.revokeEverySession({}),
  },
  {
    rpc: 'Logout',
    sessions: 1,
    reason: 'logout',
    end: ({ auth }, _, { refreshToken }) => auth.logout({ refreshToken }),
  },
  {
    rpc: 'RevokeAllSessions',
    sessions: 3,
    reason: 'revoked',
    end: ({ sessions }, { id }) => sessions.revokeAllSessions({ userId: id }),
  },
  {
    rpc: 'ChangePassword',
    sessions: 3,
    reason: 'password_changed',
    end: ({ auth }, { id }) => auth.changePassword({ userId: id, currentPassword: PASSWORD, newPassword: `new ${PASSWORD}` }),
  },
  {
    rpc: 'DeactivateUser',
    sessions: 3,
    reason: 'user_deactivated',
    end: ({ users }, { id }) => users.deactivateUser({ userId: id }),
  },
  {
    rpc: 'DeleteUser',
    sessions: 3,
    end: ({ users }, { id }) => users.deleteUser({ userId: id }),
  },
];

const ROUNDS = 12;

/** Refreshes on and on, by two at once, until it is refused. Returns every token of the chain; anything but a refusal is thrown. */
async function refreshUntilRefused(service: TestService, login: Tokens): Promise<Tokens[]> {
  const chain = [login];
  for (;;) {
    const { refreshToken } = required(chain.at(-1));
    const results = await atOnce(2, () => refresh(service, refreshToken));
    chain.push(...results.filter(({ status }) => status === 'fulfilled').map((result) => (result as PromiseFulfilledResult<Tokens>).value));
    const failures = results.filter(({ status }) => status === 'rejected').map((result) => (result as PromiseRejectedResult).reason);
    for (const failure of failures) expect(decode(failure as ServiceError).reason).toBe('INVALID_REFRESH_TOKEN');
    if (failures.length > 0) return chain;
  }
}

describe('RefreshToken racing', () => {
  let database: TestDatabase;
  let service: TestService;

  beforeAll(async () => {
    database = await createDatabase();
    service = await startService({}, database);
  });

  afterAll(() => database.drop());

  it.each(ENDERS)('$rpc leaves no token that works', async ({ sessions, reason, end }) => {
    for (let round = 1; round <= ROUNDS; round++) {
      const user = await register(service);
      const logins: Tokens[] = [];
      for (let login = 1; login <= sessions; login++) logins.push(await logIn(service, user.email));

      const refreshing = Promise.all(logins.map((login) => refreshUntilRefused(service, login)));
      const [chains] = await Promise.all([refreshing, end(service, user, required(logins[0]))]);

      for (const tokens of chains.flat()) await expectDead(service, tokens);
      if (reason === undefined) continue;
      for (const { sessionId } of logins) expect(await endingsOf(service, sessionId)).toEqual([reason]);
    }
  });

  it('is never a deadlock', async () => {
    // A server process reports what it counted when it exits at the latest.
    await service.stop();
    await expect.poll(() => connections(database)).toBe(0);
    const { rows: counted } = await database.pool.query<{ deadlocks: string }>(
      'select deadlocks from pg_stat_database where datname = current_database()',
    );
    expect(counted).toEqual([{ deadlocks: '0' }]);
  });
});

async function connections({ pool }: TestDatabase): Promise<number> {
  const { rows } = await pool.query<{ count: number }>(
    `select count(*)::int as count from pg_stat_activity where datname = current_database() and application_name = 'identity'`,
  );
  return required(rows[0]).count;
}
