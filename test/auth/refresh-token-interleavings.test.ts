import type { ServiceError } from '@grpc/grpc-js';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Tokens } from '../../src/gen/identity/v1/tokens.ts';
import { logIn, register, required } from '../support/builders.ts';
import { decode, expectStatus } from '../support/expect-status.ts';
import { useService } from '../support/service.ts';
import { endingsOf, eventsOfSession, expectAlive, expectDead, refresh } from '../support/sessions.ts';

/*
 * Property: whatever two honest tabs do that share the newest token they have seen, their session goes on; and a used token that comes back later
 * than its grace ends it. Each seed is one session; all of them live on one clock, tick by tick, so that the calls of a tick run at the same time.
 * A tick is long beside the real time that passes during the test.
 */
const TICK = 20;
const GRACE = 200;
const SEEDS = 100;
const TICKS = 80;
const SESSIONS_OF_ONE_USER = 10;
/** No more at the same time than the service has connections for: what is at stake is the order of the calls of one session. */
const SESSIONS_AT_ONCE = 10;
/** The time from reading the token to the arrival of the call: shorter than the grace, but for the time that the test takes itself. */
const MAX_REQUEST_TICKS = 8;
/** The time until an answer is there, or is given up. */
const MAX_ANSWER_TICKS = 25;

const service = useService({ REFRESH_GRACE: String(GRACE), MAX_SESSIONS: String(SESSIONS_OF_ONE_USER) });

/** Mulberry32: the same numbers for the same seed. */
function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296) * below);
  };
}

/** The tokens of a session in the order in which they were issued, and since when each of them is used up. */
class Chain {
  readonly tokens: string[] = [];
  readonly #presentedAt: (number | undefined)[] = [];

  issued(token: string): void {
    if (!this.tokens.includes(token)) this.tokens.push(token);
  }

  presented(token: string, tick: number): void {
    this.#presentedAt[this.tokens.indexOf(token)] ??= tick;
  }

  /** The tokens whose grace is over at that tick, with two ticks to spare. */
  replayable(tick: number): string[] {
    const isOver = (presentedAt: number | undefined) => presentedAt !== undefined && (tick - presentedAt - 2) * TICK >= GRACE;
    return this.tokens.filter((_, index) => isOver(this.#presentedAt[index + 1]));
  }
}

/** A session with two tabs, which does at each tick what its seed says. */
class TwoTabs {
  readonly chain = new Chain();
  readonly seed: number;
  readonly #random: (below: number) => number;
  /** The newest token that one of the tabs has seen. */
  #newest: string;
  readonly sessionId: string;
  readonly #due = new Map<number, (() => Promise<void> | void)[]>();

  constructor(seed: number, { refreshToken, sessionId }: Tokens) {
    this.seed = seed;
    this.#random = randomOf(seed);
    this.#newest = refreshToken;
    this.sessionId = sessionId;
    this.chain.issued(refreshToken);
    for (const tab of [0, 1]) this.#at(tab, (tick) => this.#send(tick));
  }

  get newest(): string {
    return this.#newest;
  }

  async run(tick: number): Promise<void> {
    const due = this.#due.get(tick) ?? [];
    this.#due.delete(tick);
    await Promise.all(due.map((act) => act()));
  }

  #at(tick: number, act: (tick: number) => Promise<void> | void): void {
    this.#due.set(tick, [...(this.#due.get(tick) ?? []), () => act(tick)]);
  }

  /** A number of ticks: short, as nearly always, or any. */
  #delay(max: number): number {
    return this.#random(3) > 0 ? this.#random(2) : this.#random(max + 1);
  }

  /** A tab reads the newest token and sends it. */
  #send(tick: number): void {
    const token = this.#newest;
    this.#at(tick + 1 + this.#delay(MAX_REQUEST_TICKS - 1), (arrival) => this.#arrive(token, arrival));
  }

  async #arrive(token: string, tick: number): Promise<void> {
    // What comes next is drawn before the call, so that it does not depend on which of two calls ends first.
    const [isLost, pause] = [this.#random(10) < 3, this.#delay(MAX_ANSWER_TICKS)];
    const answerTick = tick + 1 + this.#delay(MAX_ANSWER_TICKS);
    this.chain.presented(token, tick);
    const answer = await refresh(service, token).catch((failure: ServiceError) => {
      // More refreshes within the grace than a session remembers.
      expect(decode(failure).reason).toBe('INVALID_REFRESH_TOKEN');
    });
    if (answer) this.chain.issued(answer.refreshToken);
    this.#at(answerTick, () => {
      if (answer && !isLost) this.#see(answer.refreshToken);
    });
    this.#at(answerTick + 1 + pause, (next) => this.#send(next));
  }

  #see(token: string): void {
    if (this.chain.tokens.indexOf(token) > this.chain.tokens.indexOf(this.#newest)) this.#newest = token;
  }
}

describe('two honest tabs and a thief', () => {
  const sessions: TwoTabs[] = [];

  beforeAll(async () => {
    let email = '';
    for (let seed = 1; seed <= SEEDS; seed++) {
      if (seed % SESSIONS_OF_ONE_USER === 1) email = (await register(service)).email;
      sessions.push(new TwoTabs(seed, await logIn(service, email)));
    }
  });

  it(`of ${SEEDS} seeds, no session is ended by its tabs`, async () => {
    for (let tick = 0; tick < TICKS; tick++) {
      for (let first = 0; first < SEEDS; first += SESSIONS_AT_ONCE) {
        await Promise.all(sessions.slice(first, first + SESSIONS_AT_ONCE).map((session) => session.run(tick)));
      }
      service.clock.advance(TICK);
    }
    const ended = await Promise.all(
      sessions.map(async ({ seed, sessionId }) => ((await eventsOfSession(service, sessionId)).length > 0 ? [seed] : [])),
    );
    expect(ended.flat(), 'seeds whose session has ended').toEqual([]);
    const refreshed = sessions.map(({ chain }) => chain.tokens.length).filter((length) => length > 5);
    expect(refreshed.length).toBeGreaterThan(SEEDS * 0.8);
    // Every second session is left for the thief.
    for (const session of sessions.filter(({ seed }) => seed % 2 === 0)) await expectNewestWorks(session);
  });

  it('of the other half, every one is ended by a thief who presents any token that is used up', async () => {
    const robbed = sessions.filter(({ seed, chain }) => seed % 2 === 1 && chain.replayable(TICKS).length > 0);
    expect(robbed.length).toBeGreaterThan(SEEDS * 0.4);
    for (const { seed, sessionId, chain, newest } of robbed) {
      const stolen = chain.replayable(TICKS);
      const token = required(stolen[randomOf(-seed)(stolen.length)]);
      await expectStatus(service.auth.refreshToken({ refreshToken: token }), 'UNAUTHENTICATED', 'INVALID_REFRESH_TOKEN');
      expect(await endingsOf(service, sessionId), `seed ${seed}`).toEqual(['refresh_reused']);
      await expectStatus(service.auth.refreshToken({ refreshToken: newest }), 'UNAUTHENTICATED', 'INVALID_REFRESH_TOKEN');
    }
  });
});

async function expectNewestWorks({ seed, newest, sessionId }: TwoTabs): Promise<void> {
  const tokens = await refresh(service, newest);
  expect(tokens.sessionId, `seed ${seed}`).toBe(sessionId);
  await expectAlive(service, tokens);
  // The token itself proves that the session is the one that ends.
  await service.auth.logout({ refreshToken: newest });
  await expectDead(service, tokens);
}
