import { afterEach, describe, expect, it, vi } from 'vitest';
import { createApiKeySecret } from '../../src/access/api-keys/api-key-format.ts';
import type { RecognisedApiKey } from '../../src/access/api-keys/recognised-api-key.repository.ts';
import { ANONYMOUS } from '../../src/call/call.ts';
import { KeyLookUps } from '../../src/callers/key-look-ups.ts';
import { CoalescedReads } from '../../src/concurrency/coalesced-reads.ts';
import { signedIn } from '../support/builders.ts';
import { expectStatus, failureOf } from '../support/expect-status.ts';
import { programInRoles, programWith, roleWith } from '../support/grants.ts';
import { useService } from '../support/service.ts';
import { statementsWithRecognitionOf, untilCallerIsKnown, untilChangesAreKnown } from '../support/statements.ts';

const PEER = '203.0.113.9';
const GOOD: RecognisedApiKey = { caller: ANONYMOUS, keyId: 'id', expiresAt: undefined };

/** Look-ups among keys of which those that begin with `good` are there; `queries` are those that were made. */
function lookUps() {
  const queries: (readonly string[])[] = [];
  const state = { available: true, revoked: false };
  const keys = new CoalescedReads<RecognisedApiKey>(async (ids) => {
    queries.push(ids);
    if (!state.available) throw new Error('no connection');
    return new Map(ids.filter((id) => id.startsWith('good') && !state.revoked).map((id) => [id, GOOD]));
  });
  const all = new KeyLookUps(keys);
  const made = (count: number, prefix: string, peer = PEER) =>
    Promise.allSettled(Array.from({ length: count }, (_, index) => all.get(`${prefix}${index}`, peer)));
  return { all, made, queries, state };
}

describe('the look-ups of keys that are not remembered', () => {
  afterEach(() => void vi.useRealTimers());

  it('are a hundred failures a network; then keys wait for each other, a hundred at the most', async () => {
    const { made, queries } = lookUps();
    const outcomes = await made(300, 'bad');
    expect(outcomes.map(({ status }) => status)).toEqual([...Array(200).fill('fulfilled'), ...Array(100).fill('rejected')]);
    expect(outcomes.at(-1)).toMatchObject({
      reason: { code: 'RESOURCE_EXHAUSTED', reason: 'RATE_LIMITED', details: { retryAfterSeconds: 1 } },
    });
    expect(queries.map((ids) => ids.length)).toEqual([100, 100]);
  });

  it('find a good key although it has to wait, and the next time without', async () => {
    const { all, made, queries } = lookUps();
    await made(100, 'bad');
    const flood = made(99, 'worse');
    expect(await all.get('good', PEER)).toBe(GOOD);
    await flood;
    expect(queries.map((ids) => ids.length)).toEqual([100, 100]);
    const again = made(100, 'worst');
    await expect(all.get('another', PEER)).rejects.toMatchObject({ reason: 'RATE_LIMITED' });
    expect(await all.get('good', PEER)).toBe(GOOD);
    await again;
  });

  it('that wait are counted by key: one that comes again and again takes a single place', async () => {
    const { all, made } = lookUps();
    await made(100, 'bad');
    const same = Array.from({ length: 1000 }, () => all.get('revoked', PEER));
    expect(await all.get('good', PEER)).toBe(GOOD);
    expect(await Promise.all(same)).toEqual(Array(1000).fill(undefined));
  });

  it('of a key that was good wait, too, once it is none any more', async () => {
    const { all, made, queries, state } = lookUps();
    await all.get('good', PEER);
    state.revoked = true;
    await made(99, 'bad');
    expect(await all.get('good', PEER)).toBeUndefined();
    const flood = made(100, 'worse');
    await expect(all.get('good', PEER)).rejects.toMatchObject({ reason: 'RATE_LIMITED' });
    await flood;
    expect(queries).toHaveLength(4);
  });

  it('of other networks do not wait; those of one /64 do', async () => {
    const { all, made } = lookUps();
    await made(100, 'bad', '2001:db8:0:7::1');
    const waiting = made(100, 'worse', '2001:db8:0:7::1');
    await expect(all.get('bad', '2001:db8:0:7:ffff::2')).rejects.toMatchObject({ reason: 'RATE_LIMITED' });
    expect(await all.get('bad', '2001:db8:0:8::1')).toBeUndefined();
    await waiting;
  });

  it('are not held against anybody where the database does not answer, nor where a key is found', async () => {
    const { made, state } = lookUps();
    state.available = false;
    await made(50, 'bad');
    state.available = true;
    await made(50, 'good');
    const outcomes = await made(300, 'worse');
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(200);
  });

  it('are free again a minute later', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    const { made } = lookUps();
    await made(200, 'bad');
    vi.advanceTimersByTime(60_000);
    expect((await made(300, 'worse')).filter(({ status }) => status === 'fulfilled')).toHaveLength(200);
  });
});

describe('a flood of made-up keys', () => {
  const service = useService();
  const call = (token: string) => service.auth.getCaller({}, { token });
  const flood = (count: number) => Array.from({ length: count }, () => failureOf(call(createApiKeySecret())));

  it('is limited, and shuts out nobody behind the same proxy: not who is known, not who comes again, not who is new', async () => {
    const known = await programWith(service, []);
    await call(known.key);
    const { tokens } = await signedIn(service);
    const fresh = await programWith(service, []);
    const failures = flood(1000);
    await Promise.all([call(known.key), call(tokens.accessToken)]);
    const reasons = (await Promise.all(failures)).map(({ reason }) => reason);
    expect(new Set(reasons)).toEqual(new Set(['CALLER_UNAUTHENTICATED', 'RATE_LIMITED']));

    await call(fresh.key);
    // A new epoch: nobody is remembered any more.
    await programInRoles(service, [await roleWith(service, ['a.read'])]);
    await untilChangesAreKnown(service.database, 1);
    const more = flood(1000);
    await call(known.key);
    await Promise.all(more);
  });

  it('tells when to come again', async () => {
    const failures = await Promise.all(flood(1000));
    const limited = failures.find(({ reason }) => reason === 'RATE_LIMITED');
    expect(limited).toMatchObject({ code: 'RESOURCE_EXHAUSTED', retryAfterSeconds: 1 });
  });
});

describe('a token of a session that has ended', () => {
  const service = useService();
  const TIMES = 50;

  it('is looked up once', async () => {
    const { user, tokens } = await signedIn(service);
    await service.sessions.revokeAllSessions({ userId: user.id });
    await untilCallerIsKnown(service);
    const statements = await statementsWithRecognitionOf(async () => {
      for (let time = 0; time < TIMES; time++)
        await expectStatus(service.auth.getCaller({}, { token: tokens.accessToken }), 'UNAUTHENTICATED', 'CALLER_UNAUTHENTICATED');
    });
    const lookUps = statements.filter((statement) => statement === 'callers.find-live-sessions');
    // Some more where the service does not hear of changes in time, as on a busy machine.
    expect(lookUps.length).toBeLessThan(TIMES / 5);
  });
});
