import { describe, expect, it } from 'vitest';
import { decideRefresh, type RefreshDecision, type RefreshState } from '../../../src/auth/tokens/refresh-policy.ts';
import { hashRefreshToken } from '../../../src/auth/tokens/refresh-tokens.ts';

const OLD = hashRefreshToken('two refreshes ago');
const PREVIOUS = hashRefreshToken('one refresh ago');
const CURRENT = hashRefreshToken('never used');
const REFRESHED_AT = new Date('2030-01-01T00:00:00.000Z');

/** Refreshed at least twice. */
const USED: RefreshState = { live: true, userActive: true, currentHash: CURRENT, previousHash: PREVIOUS, refreshedAt: REFRESHED_AT };
/** As the login left it. */
const FRESH: RefreshState = { ...USED, previousHash: null, refreshedAt: null };
const ENDED: RefreshState = { ...USED, live: false };
const DEACTIVATED: RefreshState = { ...USED, userActive: false };

type Row = [rule: string, presented: Buffer, state: RefreshState, elapsedMs: number, graceSeconds: number, decision: RefreshDecision];

const TABLE: Row[] = [
  ['the first token of a session is traded in', CURRENT, FRESH, 0, 10, 'rotate'],
  ['the current token is traded in at once', CURRENT, USED, 0, 10, 'rotate'],
  ['the current token is traded in however late', CURRENT, USED, 86_400_000, 10, 'rotate'],
  ['the current token is traded in without a grace', CURRENT, USED, 0, 0, 'rotate'],
  ['the previous token repeats at the moment of its refresh', PREVIOUS, USED, 0, 10, 'repeat'],
  ['the previous token repeats until just before the grace ends', PREVIOUS, USED, 9_999, 10, 'repeat'],
  ['the previous token repeats where another server was a little ahead', PREVIOUS, USED, -50, 10, 'repeat'],
  ['the previous token is reuse exactly when the grace ends', PREVIOUS, USED, 10_000, 10, 'reused'],
  ['the previous token is reuse after the grace', PREVIOUS, USED, 10_001, 10, 'reused'],
  ['the previous token is reuse at once without a grace', PREVIOUS, USED, 0, 0, 'reused'],
  ['the previous token is reuse without a grace, although another server was ahead', PREVIOUS, USED, -50, 0, 'reused'],
  ['an older token is reuse within the grace', OLD, USED, 0, 10, 'reused'],
  ['an older token is reuse after the grace', OLD, USED, 10_001, 10, 'reused'],
  ['another token of a session that was never refreshed is reuse', OLD, FRESH, 0, 10, 'reused'],
  ['the current token of an ended session is refused', CURRENT, ENDED, 0, 10, 'refused'],
  ['the previous token of an ended session is refused', PREVIOUS, ENDED, 0, 10, 'refused'],
  ['reuse in an ended session is refused: it cannot end again', OLD, ENDED, 20_000, 10, 'refused'],
  ['the current token of a deactivated user is refused', CURRENT, DEACTIVATED, 0, 10, 'refused'],
  ['the previous token of a deactivated user is refused', PREVIOUS, DEACTIVATED, 0, 10, 'refused'],
];

describe('decideRefresh', () => {
  it.each(TABLE)('%s', (_, presented, state, elapsedMs, graceSeconds, decision) => {
    const now = new Date(REFRESHED_AT.getTime() + elapsedMs);
    expect(decideRefresh(presented, state, now, graceSeconds)).toBe(decision);
  });
});
