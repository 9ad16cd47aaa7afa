import { describe, expect, it } from 'vitest';
import { FairQueue } from '../../../src/auth/passwords/fair-queue.ts';

/** Enough for all that a test puts in line. */
const ROOM = 1000;

/** A queue whose items are `<origin><number>`, on a clock that stands still. */
function queue() {
  const clock = { ms: 0 };
  const line = new FairQueue<string>(() => clock.ms);
  const add = (item: string, { known = false, max = ROOM } = {}) => line.add({ origin: item.replace(/\d+$/, ''), known }, item, max);
  const rest = (): string[] => {
    const item = line.next();
    return item === undefined ? [] : [item, ...rest()];
  };
  return { clock, line, add, rest };
}

describe('the queue of hashes', () => {
  it('is in the order of arrival for one origin', () => {
    const { add, rest } = queue();
    for (const item of ['a1', 'a2', 'a3']) add(item);
    expect(rest()).toEqual(['a1', 'a2', 'a3']);
  });

  it('gives each origin one turn after the other', () => {
    const { add, rest } = queue();
    for (const item of ['a1', 'a2', 'a3', 'b1', 'c1', 'b2']) add(item);
    expect(rest()).toEqual(['a1', 'b1', 'c1', 'a2', 'b2', 'a3']);
  });

  it('gives the next turn to one who has had fewer lately, however many others are in line', () => {
    const { add, line, rest } = queue();
    for (let address = 1; address <= 200; address++) add(`${'attacker'.repeat(address)}0`);
    expect(rest()).toHaveLength(200);
    for (let address = 1; address <= 200; address++) add(`${'attacker'.repeat(address)}1`);
    add('owner1');
    expect(line.next()).toBe('owner1');
  });

  it('counts turns that were had without waiting', () => {
    const { add, line } = queue();
    line.noteTurn({ origin: 'a' });
    for (const item of ['a1', 'b1']) add(item);
    expect(line.next()).toBe('b1');
  });

  it('forgives a turn that was well spent', () => {
    const { add, line } = queue();
    for (const origin of ['a', 'b']) line.noteTurn({ origin });
    line.forgiveTurn({ origin: 'b' });
    for (const item of ['a1', 'b1']) add(item);
    expect(line.next()).toBe('b1');
  });

  it('gives the next turn, among those who have had as many, to one who was refused less', () => {
    const { add, line, rest } = queue();
    line.noteRefusal({ origin: 'a' });
    add('x1');
    expect(add('b1', { max: 1 })).toBe('b1');
    for (const item of ['a1', 'b2', 'c1']) add(item);
    expect(rest()).toEqual(['x1', 'c1', 'a1', 'b2']);
  });

  it.each([
    [29_999, 'b1'],
    [59_999, 'b1'],
    [60_000, 'a1'],
    [1_000_000, 'a1'],
  ])('forgets turns after one or two windows of 30 s: after %i ms it is the turn of %s', (ms, first) => {
    const { clock, add, line } = queue();
    clock.ms = 29_999;
    line.noteTurn({ origin: 'a' });
    clock.ms = ms;
    for (const item of ['a1', 'b1']) add(item);
    expect(line.next()).toBe(first);
  });

  describe('where it is full', () => {
    it('refuses the newest of the origin that has most in line', () => {
      const { add, rest } = queue();
      for (const item of ['a1', 'b1', 'a2', 'a3']) add(item, { max: 4 });
      expect(add('c1', { max: 4 })).toBe('a3');
      expect(add('d1', { max: 4 })).toBe('a2');
      // What is left of one who was refused comes last.
      expect(rest()).toEqual(['b1', 'c1', 'd1', 'a1']);
    });

    it.each(['a2', 'b2', 'c1'])('refuses the newcomer where none has more than they: %s', (newcomer) => {
      const { add, line } = queue();
      for (const item of ['a1', 'b1']) add(item, { max: 2 });
      expect(line.hasRoomFor({ origin: newcomer[0] as string }, 2)).toBe(false);
      expect(add(newcomer, { max: 2 })).toBe(newcomer);
    });

    it('refuses one who has had turns lately rather than a newcomer', () => {
      const { add, line } = queue();
      line.noteTurn({ origin: 'a' });
      add('a1', { max: 1 });
      expect(line.hasRoomFor({ origin: 'b' }, 1)).toBe(true);
      expect(add('b1', { max: 1 })).toBe('a1');
    });

    it('has room again after a withdrawal', () => {
      const { add, line, rest } = queue();
      for (const item of ['a1', 'a2']) add(item, { max: 2 });
      expect(line.remove('a1')).toBe(true);
      expect(line.remove('a1')).toBe(false);
      expect(line.hasRoomFor({ origin: 'a' }, 2)).toBe(true);
      expect(add('a3', { max: 2 })).toBeUndefined();
      expect(rest()).toEqual(['a2', 'a3']);
    });
  });

  describe('has known devices', () => {
    it('before others, of their own origin and of others', () => {
      const { add, rest } = queue();
      for (const item of ['a1', 'b1']) add(item);
      for (const item of ['c1', 'a2']) add(item, { known: true });
      expect(rest()).toEqual(['c1', 'a2', 'b1', 'a1']);
    });

    it('refused last', () => {
      const { add } = queue();
      for (const item of ['a1', 'b1']) add(item, { max: 2 });
      expect(add('b2', { known: true, max: 2 })).toBe('b1');
      expect(add('c1', { max: 2 })).toBe('c1');
    });

    it('no longer before others where their origin has had ten turns more', () => {
      const { add, line } = queue();
      for (let turn = 0; turn < 11; turn++) line.noteTurn({ origin: 'a' });
      add('a1', { known: true });
      add('b1');
      expect(line.next()).toBe('b1');
    });
  });
});
