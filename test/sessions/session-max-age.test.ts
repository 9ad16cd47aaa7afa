import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PASSWORD, register, required, signedIn } from '../support/builders.ts';
import { rows } from '../support/rows.ts';
import { startService, type TestService, useService } from '../support/service.ts';
import { eventsOfSession, expectAlive, expectDead, isActive, refresh } from '../support/sessions.ts';

const HOUR = 3600;
const REFRESH_TTL = 1200;
const ACCESS_TTL = 900;
const SETTINGS = { REFRESH_TOKEN_TTL: String(REFRESH_TTL), ACCESS_TOKEN_TTL: String(ACCESS_TTL) };

const service = useService({ ...SETTINGS, SESSION_MAX_AGE: String(HOUR) });

async function momentsOf({ database }: TestService, sessionId: string): Promise<{ begun: Date; end: Date }> {
  const sql = 'select created_at as begun, expires_at as end from sessions where id = $1';
  return required((await rows<{ begun: Date; end: Date }>({ database }, sql, [sessionId]))[0]);
}

/** Moves the clock to so many seconds before the moment. */
const waitUntil = ({ clock }: TestService, moment: number, secondsBefore = 0) =>
  clock.advance((moment - clock.now().getTime()) / 1000 - secondsBefore);

const expiryOf = (accessToken: string): number => JSON.parse(Buffer.from(accessToken.split('.')[1] ?? '', 'base64url').toString()).exp;

describe('SESSION_MAX_AGE', () => {
  it('ends a session to the second, however often it is refreshed', async () => {
    let { tokens } = await signedIn(service);
    const { begun } = await momentsOf(service, tokens.sessionId);
    const end = begun.getTime() + HOUR * 1000;
    for (let minute = 10; minute < 60; minute += 10) {
      waitUntil(service, begun.getTime() + minute * 60_000);
      tokens = await refresh(service, tokens.refreshToken);
    }
    waitUntil(service, end, 5);
    tokens = await expectAlive(service, tokens);
    expect((await momentsOf(service, tokens.sessionId)).end.getTime()).toBe(end);
    waitUntil(service, end);
    await expectDead(service, tokens);
    expect(await eventsOfSession(service, tokens.sessionId)).toEqual([]);
  });

  it('does not shorten what ends before it', async () => {
    const { tokens } = await signedIn(service);
    expect(await refresh(service, tokens.refreshToken)).toMatchObject({ expiresIn: ACCESS_TTL, refreshExpiresIn: REFRESH_TTL });
  });

  it('cuts what both tokens promise', async () => {
    let { tokens } = await signedIn(service);
    const { begun } = await momentsOf(service, tokens.sessionId);
    const end = begun.getTime() + HOUR * 1000;
    for (const minute of [15, 30, 45]) {
      waitUntil(service, begun.getTime() + minute * 60_000);
      tokens = await refresh(service, tokens.refreshToken);
    }
    waitUntil(service, end, 300);
    const last = await refresh(service, tokens.refreshToken);
    expect(last.refreshExpiresIn).toBeLessThanOrEqual(300);
    expect(last.refreshExpiresIn).toBeGreaterThan(240);
    expect(last.expiresIn).toBe(last.refreshExpiresIn);
    expect(expiryOf(last.accessToken)).toBe(Math.floor(end / 1000));
    // The answer that is given again promises no more.
    const again = await refresh(service, tokens.refreshToken);
    expect(again.refreshExpiresIn).toBeLessThan(300);
    expect(expiryOf(again.accessToken)).toBe(Math.floor(end / 1000));
  });

  it('is the end that ListSessions tells', async () => {
    const { user, tokens } = await signedIn(service);
    let current = tokens;
    for (let time = 1; time <= 3; time++) {
      service.clock.advance(REFRESH_TTL - 60);
      current = await refresh(service, current.refreshToken);
    }
    const { sessions } = await service.sessions.listSessions({ userId: user.id });
    const [{ createTime, expireTime } = { createTime: undefined, expireTime: undefined }] = sessions;
    expect(required(expireTime).getTime()).toBe(required(createTime).getTime() + HOUR * 1000);
  });

  it('bounds the first tokens of a session where it is shorter than their life', async () => {
    const short = await startService({ ...SETTINGS, SESSION_MAX_AGE: '60' }, service.database);
    try {
      const { tokens } = await signedIn(short);
      expect(tokens).toMatchObject({ expiresIn: 60, refreshExpiresIn: 60 });
    } finally {
      await short.stop();
    }
  });
});

describe('a shorter SESSION_MAX_AGE than before', () => {
  let shorter: TestService;
  beforeAll(async () => {
    shorter = await startService({ ...SETTINGS, SESSION_MAX_AGE: '600' }, service.database);
  });
  afterAll(() => shorter.stop());

  /** A session that began under the longer one, so many seconds ago. */
  async function sessionOfAge(seconds: number) {
    const user = await register(service);
    const { tokens } = await service.auth.login({ email: user.email, password: 'correct horse battery staple' });
    const { begun } = await momentsOf(service, required(tokens).sessionId);
    waitUntil(shorter, begun.getTime() + seconds * 1000);
    return { user, tokens: required(tokens), end: begun.getTime() + 600_000 };
  }

  it('is obeyed by introspection', async () => {
    const { tokens } = await sessionOfAge(590);
    expect(await isActive(shorter, tokens.accessToken)).toBe(true);
    shorter.clock.advance(10);
    expect(await isActive(shorter, tokens.accessToken)).toBe(false);
  });

  it('is obeyed by a refresh, which is no theft', async () => {
    const { tokens } = await sessionOfAge(500);
    const next = await refresh(shorter, tokens.refreshToken);
    expect(next.refreshExpiresIn).toBeLessThanOrEqual(100);
    shorter.clock.advance(100);
    await expectDead(shorter, next);
    expect(await eventsOfSession(shorter, tokens.sessionId)).toEqual([]);
  });

  it('is obeyed by the answer that is given again', async () => {
    const { tokens } = await sessionOfAge(0);
    await refresh(service, tokens.refreshToken);
    shorter.clock.advance(500);
    expect((await refresh(shorter, tokens.refreshToken)).refreshExpiresIn).toBeLessThanOrEqual(100);
  });

  it('is obeyed by the access token of a new proof', async () => {
    const { tokens, end } = await sessionOfAge(500);
    const { tokens: proved } = await shorter.auth.reauthenticate({ password: PASSWORD }, { token: tokens.accessToken });
    expect(expiryOf(required(proved).accessToken)).toBe(Math.floor(end / 1000));
    expect(required(proved).refreshExpiresIn).toBeLessThanOrEqual(100);
  });

  it('is obeyed by ListSessions', async () => {
    const { user, end } = await sessionOfAge(500);
    const { sessions } = await shorter.sessions.listSessions({ userId: user.id });
    expect(sessions.map(({ expireTime }) => expireTime?.getTime())).toEqual([end]);
    shorter.clock.advance(100);
    expect((await shorter.sessions.listSessions({ userId: user.id })).sessions).toEqual([]);
  });
});
