import { describe, expect, it } from 'vitest';
import { decideRefresh, type PresentedToken, type RefreshDecision, type RefreshState } from '../../../src/auth/tokens/refresh-policy.ts';

const REFRESHED_AT = new Date('2030-01-01T00:00:00.000Z');
const before = (seconds: number) => new Date(REFRESHED_AT.getTime() - seconds * 1000);

/** Refreshed a few times within a grace period of 10 seconds. */
const USED: RefreshState = { live: true, userActive: true, rotatedAt: [REFRESHED_AT, before(4), before(8)] };
/** Refreshed twice, with a while in between. */
const SLOW: RefreshState = { ...USED, rotatedAt: [REFRESHED_AT, before(900)] };
/** As the login left it. */
const FRESH: RefreshState = { ...USED, rotatedAt: [] };
const ENDED: RefreshState = { ...USED, live: false };
const DEACTIVATED: RefreshState = { ...USED, userActive: false };

const aged = (age: number): PresentedToken => ({ age, issued: true });
const [CURRENT, PREVIOUS, SECOND, THIRD] = [aged(0), aged(1), aged(2), aged(3)];
/** As tokens were issued before they had a checksum. */
const PREVIOUS_WITHOUT_CHECKSUM: PresentedToken = { age: 1, issued: false };
const FORGOTTEN: PresentedToken = { age: undefined, issued: true };
const MADE_UP: PresentedToken = { age: undefined, issued: false };

type Row = [
  rule: string,
  presented: PresentedToken,
  state: RefreshState,
  elapsedMs: number,
  graceSeconds: number,
  decision: RefreshDecision,
];

const TABLE: Row[] = [
  ['the first token of a session is traded in', CURRENT, FRESH, 0, 10, 'rotate'],
  ['the current token is traded in at once', CURRENT, USED, 0, 10, 'rotate'],
  ['the current token is traded in however late', CURRENT, USED, 86_400_000, 10, 'rotate'],
  ['the current token is traded in without a grace', CURRENT, USED, 0, 0, 'rotate'],
  ['a token whose successor was never presented repeats at once', PREVIOUS, USED, 0, 10, 'repeat'],
  ['a token whose successor was never presented repeats however late', PREVIOUS, USED, 86_400_000, 10, 'repeat'],
  ['a token whose successor was never presented repeats without a grace', PREVIOUS, USED, 1, 0, 'repeat'],
  ['a token whose successor was never presented repeats where another server was ahead', PREVIOUS, USED, -15_000, 10, 'repeat'],
  ['the previous token from before checksums repeats', PREVIOUS_WITHOUT_CHECKSUM, SLOW, 60_000, 10, 'repeat'],
  ['a token repeats at the moment its successor is used', SECOND, USED, 0, 10, 'repeat'],
  ['a token repeats until just before the grace ends', SECOND, USED, 9_999, 10, 'repeat'],
  ['a token repeats where another server was a little ahead', SECOND, USED, -50, 10, 'repeat'],
  ['a token is reuse exactly when the grace after the first use of its successor ends', SECOND, USED, 10_000, 10, 'reused'],
  ['a token is reuse after the grace', SECOND, USED, 10_001, 10, 'reused'],
  ['a token is reuse at once without a grace', SECOND, USED, 0, 0, 'reused'],
  ['a token is reuse without a grace, although another server was ahead', SECOND, USED, -50, 0, 'reused'],
  ['the grace of an older token is its own: within', THIRD, USED, 5_999, 10, 'repeat'],
  ['the grace of an older token is its own: after', THIRD, USED, 6_000, 10, 'reused'],
  ['a token older than those remembered is reuse where all of them are past the grace', FORGOTTEN, SLOW, 0, 10, 'reused'],
  ['a token older than those remembered is reuse later', FORGOTTEN, USED, 2_000, 10, 'reused'],
  ['a token older than those remembered proves nothing while it may be within its grace', FORGOTTEN, USED, 1_999, 10, 'refused'],
  ['a token that was never issued proves nothing', MADE_UP, SLOW, 86_400_000, 10, 'refused'],
  ['a token that was never issued proves nothing without a grace', MADE_UP, USED, 0, 0, 'refused'],
  ['another token of a session that was never refreshed proves nothing', FORGOTTEN, FRESH, 86_400_000, 10, 'refused'],
  ['the current token of an ended session is refused', CURRENT, ENDED, 0, 10, 'refused'],
  ['the previous token of an ended session is refused', PREVIOUS, ENDED, 0, 10, 'refused'],
  ['reuse in an ended session is refused: it cannot end again', SECOND, ENDED, 20_000, 10, 'refused'],
  ['the current token of a deactivated user is refused', CURRENT, DEACTIVATED, 0, 10, 'refused'],
  ['the previous token of a deactivated user is refused', PREVIOUS, DEACTIVATED, 0, 10, 'refused'],
  ['reuse by a deactivated user is refused', SECOND, DEACTIVATED, 20_000, 10, 'refused'],
];

describe('decideRefresh', () => {
  it.each(TABLE)('%s', (_, presented, state, elapsedMs, graceSeconds, decision) => {
    const now = new Date(REFRESHED_AT.getTime() + elapsedMs);
    expect(decideRefresh(presented, state, now, graceSeconds)).toBe(decision);
  });
});
