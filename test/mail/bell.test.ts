import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Bell } from '../../src/mail/bell.ts';

let looks: number;
const look = async () => {
  looks++;
};

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] });
  looks = 0;
});

afterEach(() => {
  vi.useRealTimers();
});

describe('a bell', () => {
  it('has somebody look at the beginning, and then not before it rings', async () => {
    const bell = new Bell();
    await bell.answer(look);
    vi.advanceTimersByTime(1000);
    await bell.answer(look);
    expect(looks).toBe(1);
    bell.ring();
    await bell.answer(look);
    await bell.answer(look);
    expect(looks).toBe(2);
  });

  it('that rings during a look is answered by another one', async () => {
    const bell = new Bell();
    await bell.answer(async () => bell.ring());
    await bell.answer(look);
    expect(looks).toBe(1);
  });

  it('is answered at once after a pause, and within it when the pause is over', async () => {
    const bell = new Bell(1000);
    await bell.answer(look);
    vi.advanceTimersByTime(1500);
    bell.ring();
    await bell.answer(look);
    expect(looks).toBe(2);
    bell.ring();
    vi.advanceTimersByTime(999);
    await bell.answer(look);
    expect(looks).toBe(2);
    vi.advanceTimersByTime(1);
    await bell.answer(look);
    expect(looks).toBe(3);
  });

  it('is answered at once also right after a look that nobody rang for', async () => {
    const bell = new Bell(1000);
    await bell.answer(look);
    vi.advanceTimersByTime(2000);
    await bell.answer(look);
    bell.ring();
    await bell.answer(look);
    expect(looks).toBe(3);
  });

  it('need not ring for ever: two seconds later somebody looks anyway', async () => {
    const bell = new Bell();
    await bell.answer(look);
    vi.advanceTimersByTime(1999);
    await bell.answer(look);
    expect(looks).toBe(1);
    vi.advanceTimersByTime(1);
    await bell.answer(look);
    expect(looks).toBe(2);
  });

  it('is answered again two seconds after a look that failed', async () => {
    const bell = new Bell();
    await expect(bell.answer(() => Promise.reject(new Error('away')))).rejects.toThrow('away');
    await bell.answer(look);
    expect(looks).toBe(0);
    vi.advanceTimersByTime(2000);
    await bell.answer(look);
    expect(looks).toBe(1);
  });
});
