import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { runPeriodically } from '../../src/concurrency/periodic-task.ts';

const EVERY_MS = 100;

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }));
afterEach(() => void vi.useRealTimers());

/** How often work that takes so long is begun within a second. */
async function begunInASecond(takesMs: number, outcome: () => void = () => undefined): Promise<number> {
  const work = vi.fn(() => new Promise<void>((resolve) => setTimeout(resolve, takesMs)).then(outcome));
  const stop = runPeriodically(work, EVERY_MS, () => undefined);
  await vi.advanceTimersByTimeAsync(999);
  const times = work.mock.calls.length;
  const stopped = stop();
  await vi.advanceTimersByTimeAsync(takesMs);
  await stopped;
  return times;
}

it.each([
  ['as often where it takes time', 60, 10],
  ['one after the other where it takes longer than that', 250, 4],
])('work is begun by the clock: %s', async (_, takesMs, times) => {
  expect(await begunInASecond(takesMs)).toBe(times);
});

it('goes on after a failure, at the same pace', async () => {
  const fail = () => {
    throw new Error('no');
  };
  expect(await begunInASecond(1, fail)).toBe(10);
});
