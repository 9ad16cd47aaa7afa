import { afterAll, describe, expect, it } from 'vitest';
import { HashPool, HashWithdrawn } from '../../src/auth/passwords/hash-pool.ts';
import { slowHash } from '../support/passwords.ts';

const NEVER = new AbortController().signal;

describe('the hash pool', () => {
  const pool = new HashPool({ scheme: 'bcrypt', bcryptCost: 4, pepper: '' }, 1);
  afterAll(() => pool.close());

  const occupy = () => pool.verify('x', slowHash(12), NEVER);

  it('finishes a hash that was begun, although nobody waits for it any more', async () => {
    const caller = new AbortController();
    const verdict = pool.verify('x', slowHash(12), caller.signal);
    caller.abort();
    expect(await verdict).toMatchObject({ matches: false });
  });

  it('withdraws a hash that waits, at once', async () => {
    const first = occupy();
    const caller = new AbortController();
    const order: string[] = [];
    const waiting = pool.hash('x', caller.signal).catch((error: unknown) => {
      order.push('withdrawn');
      throw error;
    });
    caller.abort();
    await expect(waiting).rejects.toBeInstanceOf(HashWithdrawn);
    await first.then(() => order.push('first'));
    expect(order).toEqual(['withdrawn', 'first']);
  });

  it('does not begin a hash for a call that has ended', async () => {
    await expect(pool.hash('x', AbortSignal.abort())).rejects.toBeInstanceOf(HashWithdrawn);
  });

  it('refuses what it cannot do in time, and takes more as soon as it can', async () => {
    const first = occupy();
    const waiting = Array.from({ length: 64 }, () => pool.hash('x', NEVER));
    await expect(pool.hash('x', NEVER)).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED', reason: 'OVERLOADED' });
    await Promise.all([first, ...waiting]);
    await pool.hash('x', NEVER);
  });

  it('gives the place of a withdrawn hash to the next one', async () => {
    const first = occupy();
    const caller = new AbortController();
    const waiting = Array.from({ length: 64 }, (_, index) => pool.hash('x', index < 10 ? caller.signal : NEVER));
    const ends = Promise.allSettled(waiting);
    caller.abort();
    const more = Array.from({ length: 10 }, () => pool.hash('x', NEVER));
    await expect(pool.hash('x', NEVER)).rejects.toMatchObject({ reason: 'OVERLOADED' });
    await Promise.all([first, ...more]);
    expect((await ends).filter(({ status }) => status === 'rejected')).toHaveLength(10);
  });

  it('hashes in the order of arrival', async () => {
    const order: number[] = [];
    const first = occupy();
    await Promise.all([first, ...[1, 2, 3].map((number) => pool.hash('x', NEVER).then(() => order.push(number)))]);
    expect(order).toEqual([1, 2, 3]);
  });
});
