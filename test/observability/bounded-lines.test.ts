import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { BoundedLines } from '../../src/observability/bounded-lines.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const admitted = (lines: BoundedLines<string>, kind: string, times: number, max: number) =>
  Array.from({ length: times }, () => lines.admits(kind, max)).filter(Boolean).length;

it('lines of one kind are bounded, and those left out are told as a number, once', () => {
  const told: unknown[] = [];
  const lines = new BoundedLines<string>((...given) => told.push(given));
  expect(admitted(lines, 'a fault', 500, 1)).toBe(1);
  expect(admitted(lines, 'a guess', 15, 20)).toBe(15);
  vi.advanceTimersByTime(9999);
  expect(told).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(told).toEqual([['a fault', 499]]);
  vi.advanceTimersByTime(60_000);
  expect(told).toHaveLength(1);
});

it('a fault that goes on is one line and one number in each while', () => {
  const told: unknown[] = [];
  const lines = new BoundedLines<string>((...given) => told.push(given));
  for (let second = 0; second < 60; second++) {
    admitted(lines, 'a fault', 100, 1);
    vi.advanceTimersByTime(1000);
  }
  expect(told).toEqual(Array(6).fill(['a fault', 999]));
});
