import { constants, getPriority } from 'node:os';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { HashPool, HashWithdrawn, hashThreads, OWN_TURN } from '../../../src/auth/passwords/hash-pool.ts';
import { poolThreads } from '../../../src/auth/passwords/hash-threads.ts';
import { readStoredHash, type SchemeSettings } from '../../../src/auth/passwords/password-scheme.ts';
import { slowHash } from '../../support/passwords.ts';

const TURN = OWN_TURN;
const from = (origin: string, known = false) => ({ ...TURN, origin, known });
const until = (signal: AbortSignal) => ({ ...TURN, signal });
const SCHEME: SchemeSettings = { scheme: 'bcrypt', bcryptCost: 4, pepper: '' };
const slow = readStoredHash(slowHash(12), SCHEME);

describe('the hash pool', () => {
  let pool: HashPool;
  // A new one for each test: it learns from its hashes how long they take.
  beforeEach(() => {
    pool = new HashPool(SCHEME, undefined, 1);
  });
  afterEach(async () => {
    vi.useRealTimers();
    await pool.close();
  });

  const occupy = () => pool.verify('x', slow, TURN);

  it('finishes a hash that was begun, although nobody waits for it any more', async () => {
    const caller = new AbortController();
    const verdict = pool.verify('x', slow, until(caller.signal));
    caller.abort();
    expect(await verdict).toMatchObject({ matches: false });
  });

  it('withdraws a hash that waits, at once', async () => {
    const first = occupy();
    const caller = new AbortController();
    const order: string[] = [];
    const waiting = pool.hash('x', until(caller.signal)).catch((error: unknown) => {
      order.push('withdrawn');
      throw error;
    });
    caller.abort();
    await expect(waiting).rejects.toBeInstanceOf(HashWithdrawn);
    await first.then(() => order.push('first'));
    expect(order).toEqual(['withdrawn', 'first']);
  });

  it('does not begin a hash for a call that has ended', async () => {
    await expect(pool.hash('x', until(AbortSignal.abort()))).rejects.toBeInstanceOf(HashWithdrawn);
  });

  it('refuses what it cannot do in time, and takes more as soon as it can', async () => {
    const first = occupy();
    const waiting = Array.from({ length: 64 }, () => pool.hash('x', TURN));
    await expect(pool.hash('x', TURN)).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED', reason: 'OVERLOADED' });
    await Promise.all([first, ...waiting]);
    await expect.poll(() => pool.waiting).toBe(0);
    await pool.hash('x', TURN);
  });

  it.each([
    [1, 64],
    [100, 50],
    [1000, 5],
    [10_000, 2],
  ])('takes no more than can begin within five seconds, at the pace of the hashes before: of %i ms, %i', async (ms, queued) => {
    vi.useFakeTimers({ toFake: ['performance'] });
    for (let hashes = 0; hashes < 9; hashes++) {
      const hash = pool.hash('x', TURN);
      // It is begun by now, and cannot end before the event loop turns.
      for (let step = 0; step < 20; step++) await Promise.resolve();
      vi.advanceTimersByTime(ms);
      await hash;
    }
    const first = occupy();
    const outcomes = await Promise.allSettled(Array.from({ length: 100 }, () => pool.hash('x', TURN)));
    await first;
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(queued);
  });

  it('takes a whole burst right after its start, which is no measure of a hash', async () => {
    // Many at once, so that all start slowly.
    const pools = Array.from({ length: 8 }, () => new HashPool(SCHEME, undefined, 1));
    const outcomes = await Promise.all(
      pools.map(async (starting) => {
        await starting.hash('x', TURN);
        return Promise.allSettled(Array.from({ length: 65 }, () => starting.hash('x', TURN)));
      }),
    );
    await Promise.all(pools.map((started) => started.close()));
    expect(outcomes.flat().filter(({ status }) => status === 'rejected')).toEqual([]);
  });

  it.runIf(process.platform === 'linux')('hashes on threads of a lower priority', async () => {
    const priorities = () => new Set(poolThreads().map((thread) => getPriority(thread)));
    await expect.poll(priorities).toEqual(new Set([constants.priority.PRIORITY_BELOW_NORMAL]));
    expect(getPriority()).toBeLessThan(constants.priority.PRIORITY_BELOW_NORMAL);
  });

  it('gives the place of a withdrawn hash to the next one', async () => {
    const first = occupy();
    const caller = new AbortController();
    const waiting = Array.from({ length: 64 }, (_, index) => pool.hash('x', index < 10 ? until(caller.signal) : TURN));
    const ends = Promise.allSettled(waiting);
    caller.abort();
    const more = Array.from({ length: 10 }, () => pool.hash('x', TURN));
    await expect(pool.hash('x', TURN)).rejects.toMatchObject({ reason: 'OVERLOADED' });
    await Promise.all([first, ...more]);
    expect((await ends).filter(({ status }) => status === 'rejected')).toHaveLength(10);
  });

  it('refuses the newest hash of the origin that has most in line, and not the newcomer', async () => {
    const first = occupy();
    const refused: number[] = [];
    const flood = Array.from({ length: 64 }, (_, index) => pool.hash('x', from('flood')).catch(() => refused.push(index)));
    const owners = ['one', 'two', 'three'].map((owner) => pool.hash('x', from(owner)));
    await expect(pool.hash('x', from('flood'))).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED', reason: 'OVERLOADED' });
    await Promise.all([first, ...flood, ...owners]);
    expect(refused).toEqual([63, 62, 61]);
  });

  it('tells beforehand who would be refused', async () => {
    const first = occupy();
    const flood = Array.from({ length: 64 }, () => pool.hash('x', from('flood')));
    expect(() => pool.requireRoom(from('flood'))).toThrow('too many passwords');
    expect(() => pool.requireRoom(from('owner'))).not.toThrow();
    await Promise.all([first, ...flood]);
  });

  it('hashes for the origins in turn, and for one in the order of arrival', async () => {
    const order: string[] = [];
    const first = occupy();
    const line = ['a', 'a', 'a', 'b', 'c', 'b'];
    await Promise.all([first, ...line.map((origin, index) => pool.hash('x', from(origin)).then(() => order.push(`${origin}${index}`)))]);
    expect(order).toEqual(['a0', 'b3', 'c4', 'a1', 'b5', 'a2']);
  });

  it('does not hold a right password against its origin', async () => {
    const right = readStoredHash(await pool.hash('right', from('setup')), SCHEME);
    expect(await pool.verify('right', right, from('owner'))).toMatchObject({ matches: true });
    expect(await pool.verify('wrong', right, from('guesser'))).toMatchObject({ matches: false });
    const order: string[] = [];
    const first = occupy();
    const line = ['guesser', 'owner'].map((origin) => pool.hash('x', from(origin)).then(() => order.push(origin)));
    await Promise.all([first, ...line]);
    expect(order).toEqual(['owner', 'guesser']);
  });

  it('hashes in the order of arrival', async () => {
    const order: number[] = [];
    const first = occupy();
    await Promise.all([first, ...[1, 2, 3].map((number) => pool.hash('x', TURN).then(() => order.push(number)))]);
    expect(order).toEqual([1, 2, 3]);
  });

  it('finishes what was begun before it closes', async () => {
    const closing = new HashPool({ scheme: 'bcrypt', bcryptCost: 4, pepper: '' }, undefined, 2);
    const hashes = [closing.verify('x', slow, TURN), closing.hash('x', TURN), closing.hash('x', TURN)];
    const ends = Promise.allSettled(hashes);
    await closing.close();
    expect((await ends).map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled']);
  });
});

describe('the threads of several workers', () => {
  it.each([
    [1, 8, 8],
    [2, 8, 4],
    [3, 8, 3],
    [8, 8, 2],
    [2, 2, 2],
    [2, 1, 1],
  ])('of %i on %i cores are %i each', (workers, cores, threads) => {
    expect(hashThreads(workers, cores)).toBe(threads);
  });
});
