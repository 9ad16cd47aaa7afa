import { describe, expect, it } from 'vitest';
import { PASSWORD, register, required, signedIn } from '../support/builders.ts';
import { expectInvalid, expectStatus } from '../support/expect-status.ts';
import { type TestService, useService } from '../support/service.ts';
import {
  endingsOf,
  eventsOfSession,
  expectAlive,
  expectDead,
  expectRefused,
  isActive,
  partsOf,
  refresh,
  refreshTimes,
  sha256,
} from '../support/sessions.ts';

const GRACE = 10;
const REFRESH_TTL = 604_800;

const service = useService();

/** Every row of every table, as text. */
async function dump({ database }: TestService): Promise<string> {
  const { rows: tables } = await database.pool.query<{ name: string }>(
    `select quote_ident(table_name) as name from information_schema.tables where table_schema = 'public'`,
  );
  const contents = tables.map(({ name }) => database.pool.query<{ content: string }>(`select t::text as content from ${name} t`));
  return (await Promise.all(contents)).flatMap(({ rows }) => rows.map(({ content }) => content)).join('\n');
}

async function count({ database }: TestService, sql: string, ...values: unknown[]): Promise<number> {
  const { rows } = await database.pool.query<{ count: number }>(`select count(*)::int as count from ${sql}`, values);
  return required(rows[0]).count;
}

describe('RefreshToken', () => {
  describe('rotation', () => {
    it('gives new tokens of the same session', async () => {
      const { tokens } = await signedIn(service);
      const next = await refresh(service, tokens.refreshToken);
      expect(next).toMatchObject({ sessionId: tokens.sessionId, tokenType: 'Bearer', expiresIn: 900, refreshExpiresIn: REFRESH_TTL });
      expect(next.refreshToken).not.toBe(tokens.refreshToken);
      expect(next.accessToken).not.toBe(tokens.accessToken);
      await expectAlive(service, next);
    });

    it('leaves the access tokens before it active until they expire', async () => {
      const { tokens } = await signedIn(service);
      await refresh(service, tokens.refreshToken);
      expect(await isActive(service, tokens.accessToken)).toBe(true);
    });

    it('goes on for a long chain without a token occurring twice', async () => {
      const chain = [(await signedIn(service)).tokens];
      for (let generation = 1; generation <= 12; generation++) chain.push(await refresh(service, required(chain.at(-1)).refreshToken));
      expect(new Set(chain.map(({ refreshToken }) => refreshToken)).size).toBe(13);
      expect(new Set(chain.map(({ accessToken }) => accessToken)).size).toBe(13);
      expect(new Set(chain.map(({ sessionId }) => sessionId)).size).toBe(1);
    });

    it('hands out 256 random bits, and as many that say which session it is', async () => {
      const { tokens } = await signedIn(service);
      const next = await refresh(service, tokens.refreshToken);
      for (const { refreshToken } of [tokens, next]) {
        const { family, secret } = partsOf(refreshToken);
        for (const part of [family, secret]) expect(Buffer.from(part, 'base64url')).toHaveLength(32);
      }
    });

    async function momentsOf(userId: string) {
      const { rows } = await service.database.pool.query<{ login: Date; active: Date }>(
        'select u.last_login_at as login, s.last_active_at as active from users u join sessions s on s.user_id = u.id where u.id = $1',
        [userId],
      );
      return required(rows[0]);
    }

    it('moves last_active_at of the session at once, and last_login_at of the user soon, once a minute', async () => {
      const { user, tokens } = await signedIn(service);
      const atLogin = await momentsOf(user.id);
      service.clock.advance(30);
      const next = await refresh(service, tokens.refreshToken);
      const atRefresh = await momentsOf(user.id);
      expect(atRefresh.active.getTime()).toBeGreaterThanOrEqual(atLogin.active.getTime() + 30_000);
      service.clock.advance(31);
      await refresh(service, next.refreshToken);
      const login = async () => (await momentsOf(user.id)).login;
      await expect.poll(login).toEqual((await momentsOf(user.id)).active);
    });

    it('does not touch the other sessions of the user', async () => {
      const { user, tokens } = await signedIn(service);
      const other = required((await service.auth.login({ email: user.email, password: PASSWORD })).tokens);
      const next = await refresh(service, tokens.refreshToken);
      await refresh(service, next.refreshToken);
      service.clock.advance(GRACE);
      // Reuse ends the session of that token only.
      await expectRefused(service, tokens.refreshToken);
      await expectAlive(service, other);
    });
  });

  describe('a token whose successor was not presented', () => {
    it.each([0, GRACE / 2, GRACE, 86_400])(
      'gets the very same successor again after %d seconds: the answer may have been lost',
      async (elapsed) => {
        const { tokens } = await signedIn(service);
        const first = await refresh(service, tokens.refreshToken);
        service.clock.advance(elapsed);
        const again = await refresh(service, tokens.refreshToken);
        expect(again.refreshToken).toBe(first.refreshToken);
        expect(again.sessionId).toBe(tokens.sessionId);
        expect(again.accessToken).not.toBe(first.accessToken);
        // The session was not extended again.
        expect(REFRESH_TTL - again.refreshExpiresIn).toBeGreaterThanOrEqual(elapsed);
        expect(await eventsOfSession(service, tokens.sessionId)).toEqual([]);
        await expectAlive(service, again);
      },
    );

    it('is refused when the session has expired meanwhile', async () => {
      const { tokens } = await signedIn(service);
      await refresh(service, tokens.refreshToken);
      service.clock.advance(REFRESH_TTL);
      await expectRefused(service, tokens.refreshToken);
      expect(await eventsOfSession(service, tokens.sessionId)).toEqual([]);
    });
  });

  describe('a token that is used up', () => {
    it.each([2, 3, 4])('gets the newest token within the grace, %d generations later', async (generations) => {
      const { tokens } = await signedIn(service);
      const newest = required((await refreshTimes(service, tokens, generations)).at(-1));
      service.clock.advance(GRACE / 2);
      expect((await refresh(service, tokens.refreshToken)).refreshToken).toBe(newest.refreshToken);
      expect(await eventsOfSession(service, tokens.sessionId)).toEqual([]);
      await expectAlive(service, newest);
    });

    it('is refused within the grace where more refreshes came after it than are remembered, and ends nothing', async () => {
      const { tokens } = await signedIn(service);
      const newest = required((await refreshTimes(service, tokens, 7)).at(-1));
      await expectRefused(service, tokens.refreshToken);
      expect(await eventsOfSession(service, tokens.sessionId)).toEqual([]);
      await expectAlive(service, newest);
    });

    it('does not get a longer grace by being presented within it', async () => {
      const { tokens } = await signedIn(service);
      await refreshTimes(service, tokens, 2);
      service.clock.advance(GRACE / 2);
      await refresh(service, tokens.refreshToken);
      service.clock.advance(GRACE / 2);
      await expectRefused(service, tokens.refreshToken);
      expect(await endingsOf(service, tokens.sessionId)).toEqual(['refresh_reused']);
    });

    it.each([GRACE, GRACE + 1, 86_400])('ends the session %d seconds after its successor was presented', async (elapsed) => {
      const { tokens } = await signedIn(service);
      const current = required((await refreshTimes(service, tokens, 2)).at(-1));
      service.clock.advance(elapsed);
      await expectRefused(service, tokens.refreshToken);
      await expectDead(service, current);
      expect(await isActive(service, tokens.accessToken)).toBe(false);
      expect(await endingsOf(service, tokens.sessionId)).toEqual(['refresh_reused']);
    });

    it('ends the session although its latest refresh is within the grace', async () => {
      const { tokens } = await signedIn(service);
      const third = required((await refreshTimes(service, tokens, 2)).at(-1));
      service.clock.advance(GRACE - 1);
      const [fourth] = await refreshTimes(service, third, 1);
      service.clock.advance(1);
      await expectRefused(service, tokens.refreshToken);
      await expectDead(service, required(fourth));
      expect(await endingsOf(service, tokens.sessionId)).toEqual(['refresh_reused']);
    });

    it('is remembered in the audit although the call fails, once', async () => {
      const { user, tokens } = await signedIn(service);
      await refreshTimes(service, tokens, 2);
      service.clock.advance(GRACE);
      const replay = { refreshToken: tokens.refreshToken, client: { ipAddress: '203.0.113.9' } };
      for (let time = 1; time <= 3; time++) {
        await expectStatus(service.auth.refreshToken(replay), 'UNAUTHENTICATED', 'INVALID_REFRESH_TOKEN');
      }
      expect(await eventsOfSession(service, tokens.sessionId)).toEqual([
        { type: 'session.refresh_reused', userId: user.id, actor: 'service_account:test-admin', ipAddress: '203.0.113.9', reason: null },
        { type: 'session.revoked', userId: user.id, actor: 'service_account:test-admin', ipAddress: null, reason: 'refresh_reused' },
      ]);
      expect(await count(service, 'sessions where id = $1 and revoked_at is not null', tokens.sessionId)).toBe(1);
    });

    it('does not lead to the session of another user', async () => {
      const [victim, bystander] = [await signedIn(service), await signedIn(service)];
      await refreshTimes(service, victim.tokens, 2);
      service.clock.advance(GRACE);
      await expectRefused(service, victim.tokens.refreshToken);
      await expectAlive(service, bystander.tokens);
    });
  });

  describe('storage', () => {
    it('keeps nothing of the tokens but their SHA-256', async () => {
      const { tokens } = await signedIn(service);
      const issued = [tokens, ...(await refreshTimes(service, tokens, 3))].map(({ refreshToken }) => refreshToken);
      const parts = issued.map(partsOf);
      const everything = await dump(service);
      for (const stored of [required(issued.at(-1)), ...parts.map(({ family }) => family)]) {
        expect(everything).toContain(sha256(stored).toString('hex'));
      }
      for (const secret of [...issued, ...parts.flatMap((ofToken) => Object.values(ofToken))]) {
        expect(everything).not.toContain(secret);
        expect(everything).not.toContain(Buffer.from(secret).toString('hex'));
        expect(everything).not.toContain(Buffer.from(secret, 'base64url').toString('hex'));
      }
    });
  });

  describe('expiry', () => {
    it('refuses a token that was not used for REFRESH_TOKEN_TTL', async () => {
      const { tokens } = await signedIn(service);
      expect(tokens.refreshExpiresIn).toBe(REFRESH_TTL);
      service.clock.advance(REFRESH_TTL);
      await expectDead(service, tokens);
      expect(await eventsOfSession(service, tokens.sessionId)).toEqual([]);
    });

    it('extends the session with each refresh', async () => {
      let { tokens } = await signedIn(service);
      for (let time = 1; time <= 3; time++) {
        service.clock.advance(REFRESH_TTL - 60);
        tokens = await refresh(service, tokens.refreshToken);
        expect(tokens.refreshExpiresIn).toBe(REFRESH_TTL);
      }
      service.clock.advance(REFRESH_TTL);
      await expectRefused(service, tokens.refreshToken);
    });
  });

  it('refuses a deactivated user, and the same token after reactivation', async () => {
    const { user, tokens } = await signedIn(service);
    await service.users.deactivateUser({ userId: user.id });
    await expectDead(service, tokens);
    await service.users.reactivateUser({ userId: user.id });
    await expectDead(service, tokens);
  });

  it('refuses the token of a deleted user', async () => {
    const { user, tokens } = await signedIn(service);
    await service.users.deleteUser({ userId: user.id });
    await expectDead(service, tokens);
  });

  describe('input', () => {
    it.each([
      ['an unknown token', Buffer.alloc(32, 7).toString('base64url')],
      ['text', 'not a token'],
      ['one character', 'x'],
      ['other alphabets', 'жетон 🎟'],
      ['control characters', 'a\u0000b\n'],
      ['SQL', "' or 1=1 --"],
      ['a dot', '.'],
      ['a secret without a family', `.${Buffer.alloc(32, 7).toString('base64url')}`],
      ['the longest allowed', 'x'.repeat(512)],
    ])('refuses %s', async (_, refreshToken) => void (await expectRefused(service, refreshToken)));

    it('requires a token', () => expectInvalid(service.auth.refreshToken({ refreshToken: '' }), ['refresh_token']));

    it('refuses a token that is too long', () =>
      expectInvalid(service.auth.refreshToken({ refreshToken: 'x'.repeat(513) }), ['refresh_token']));

    it('names every wrong field, and does not use the token up', async () => {
      const { tokens } = await signedIn(service);
      const client = { ipAddress: '300.1.1.1', userAgent: 'x'.repeat(1025), deviceName: 'a\u0007b' };
      await expectInvalid(service.auth.refreshToken({ refreshToken: tokens.refreshToken, client }), [
        'client.ip_address',
        'client.user_agent',
        'client.device_name',
      ]);
      expect(await count(service, 'sessions where id = $1 and refreshed_at is null', tokens.sessionId)).toBe(1);
    });
  });

  describe('client', () => {
    const LOGIN = { ipAddress: '192.0.2.1', userAgent: 'Browser/1', deviceName: 'Laptop' };

    async function signedInFrom(client: typeof LOGIN) {
      const user = await register(service);
      const tokens = required((await service.auth.login({ email: user.email, password: PASSWORD, client })).tokens);
      const known = async () => required((await service.sessions.listSessions({ userId: user.id })).sessions[0]).client;
      return { tokens, known };
    }

    it('keeps what the call leaves out', async () => {
      const { tokens, known } = await signedInFrom(LOGIN);
      await refresh(service, tokens.refreshToken);
      expect(await known()).toEqual(LOGIN);
    });

    it('updates what the call sends and keeps what it leaves empty', async () => {
      const { tokens, known } = await signedInFrom(LOGIN);
      await refresh(service, tokens.refreshToken, { ipAddress: '2001:db8::7', userAgent: '' });
      expect(await known()).toEqual({ ...LOGIN, ipAddress: '2001:db8::7' });
    });

    it('updates everything', async () => {
      const { tokens, known } = await signedInFrom(LOGIN);
      const moved = { ipAddress: '198.51.100.2', userAgent: 'Browser/2', deviceName: 'Laptop (new)' };
      await refresh(service, tokens.refreshToken, moved);
      expect(await known()).toEqual(moved);
    });

    it('is not learnt from a call that is refused', async () => {
      const { tokens } = await signedInFrom(LOGIN);
      await refreshTimes(service, tokens, 2);
      service.clock.advance(GRACE);
      await expectStatus(
        service.auth.refreshToken({ refreshToken: tokens.refreshToken, client: { deviceName: 'Thief' } }),
        'UNAUTHENTICATED',
        'INVALID_REFRESH_TOKEN',
      );
      expect(await count(service, `sessions where id = $1 and device_name = 'Laptop'`, tokens.sessionId)).toBe(1);
    });
  });
});

describe('RefreshToken with REFRESH_GRACE=0', () => {
  const strict = useService({ REFRESH_GRACE: '0' });

  it('gives a token whose successor was not presented the same successor again', async () => {
    const { tokens } = await signedIn(strict);
    const first = await refresh(strict, tokens.refreshToken);
    expect((await refresh(strict, tokens.refreshToken)).refreshToken).toBe(first.refreshToken);
  });

  it('ends the session with the first replay of a token that is used up', async () => {
    const { tokens } = await signedIn(strict);
    const current = required((await refreshTimes(strict, tokens, 2)).at(-1));
    await expectRefused(strict, tokens.refreshToken);
    await expectDead(strict, current);
    expect(await endingsOf(strict, tokens.sessionId)).toEqual(['refresh_reused']);
  });
});
