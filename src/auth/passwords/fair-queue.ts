import { RecentCounts } from '../../concurrency/recent-counts.ts';

/** The turns and the refusals of an origin count for so long, and for twice as long at the most. */
const RECENT_MS = 30_000;

/** A device that the account knows goes before others, unless its origin has had so many turns more than theirs. */
const HEAD_START = 10;

/** The one who asks for a turn. */
export interface Asking {
  /** The owner of the share (`originOf`). */
  readonly origin: string;
  /** True where it comes from a device that the account knows. */
  readonly known?: boolean | undefined;
}

interface Waiting<Item> extends Asking {
  readonly item: Item;
}

/**
 * A queue that is fair among origins. The next turn is that of the origin that has had the fewest lately, counting those that it has in line
 * before; among equals, of the one that was refused less; among equals in that, too, of the one who came first. The same order decides, from
 * its other end, who is refused where the queue is full. So an origin that floods waits behind itself, and one that comes now and then waits
 * for nobody but its like (ADR 21).
 *
 * There are some dozens in line at the most, so they are looked through rather than kept in order.
 */
export class FairQueue<Item> {
  readonly #turns: RecentCounts;
  readonly #refusals: RecentCounts;
  /** By arrival, those from known devices before the others: an origin gives its turns in this order. */
  #waiting: readonly Waiting<Item>[] = [];

  constructor(now?: () => number) {
    this.#turns = new RecentCounts(RECENT_MS, now);
    this.#refusals = new RecentCounts(RECENT_MS, now);
  }

  get size(): number {
    return this.#waiting.length;
  }

  /** Counts a turn that was had without waiting for it. */
  noteTurn({ origin }: Asking): void {
    this.#turns.add(origin);
  }

  /** Forgets a turn that was well spent: an origin is not held back for those who know their passwords. */
  forgiveTurn({ origin }: Asking): void {
    this.#turns.add(origin, -1);
  }

  /** Counts a refusal of one who was not let into the line. */
  noteRefusal({ origin }: Asking): void {
    this.#refusals.add(origin);
  }

  /** Tells whether somebody who came now would be let into the line, which has room for `max`. */
  hasRoomFor(asking: Asking, max: number): boolean {
    if (this.size < max) return true;
    const newcomer = { ...asking, item: undefined };
    return this.#byTurn(inLine<Item | undefined>(this.#waiting, newcomer)).at(-1) !== newcomer;
  }

  /** Adds one. The last one is refused and returned where the line is longer than `max` now; it may be the same. */
  add(asking: Asking, item: Item, max: number): Item | undefined {
    this.#waiting = inLine(this.#waiting, { ...asking, item });
    const last = this.size > max ? this.#byTurn(this.#waiting).at(-1) : undefined;
    if (!last) return undefined;
    this.remove(last.item);
    this.noteRefusal(last);
    return last.item;
  }

  /** Takes out the one whose turn it is. */
  next(): Item | undefined {
    const [first] = this.#byTurn(this.#waiting);
    if (!first) return undefined;
    this.remove(first.item);
    this.noteTurn(first);
    return first.item;
  }

  /** Tells whether it was in line. */
  remove(item: Item): boolean {
    const before = this.size;
    this.#waiting = this.#waiting.filter((waiting) => waiting.item !== item);
    return this.size < before;
  }

  /** In the order of their turns. */
  #byTurn<Of>(waiting: readonly Waiting<Of>[]): readonly Waiting<Of>[] {
    const turns = new Map<string, number>();
    const ranked = waiting.map((one) => {
      const before = turns.get(one.origin) ?? this.#turns.of(one.origin);
      turns.set(one.origin, before + 1);
      return { one, turns: before - (one.known ? HEAD_START : 0), refusals: this.#refusals.of(one.origin) };
    });
    return ranked.sort((a, b) => a.turns - b.turns || a.refusals - b.refusals).map(({ one }) => one);
  }
}

function inLine<Item>(waiting: readonly Waiting<Item>[], newcomer: Waiting<Item>): readonly Waiting<Item>[] {
  const known = (one: Asking) => Number(one.known ?? false);
  return [...waiting, newcomer].sort((a, b) => known(b) - known(a));
}
