/** The facts that a session keeps about its refresh tokens. */
export interface RefreshState {
  readonly live: boolean;
  readonly userActive: boolean;
  readonly currentHash: Buffer;
  readonly previousHash: Buffer | null;
  readonly refreshedAt: Date | null;
}

/**
 * - `rotate`: the current token; it is used up and gets a successor.
 * - `repeat`: the one before, within the grace period (a lost answer, two tabs): it gets the same successor again.
 * - `reused`: any other one, as a used token that comes back later. Either its owner or a thief holds a copy, so the session ends (RFC 9700
 *   §4.14.2).
 * - `refused`: the session is over anyway.
 */
export type RefreshDecision = 'rotate' | 'repeat' | 'reused' | 'refused';

/** Decides on a token of the session's family. Nobody can name the family who has never held a token of the session. */
export function decideRefresh(presentedHash: Buffer, state: RefreshState, now: Date, graceSeconds: number): RefreshDecision {
  if (!state.live || !state.userActive) return 'refused';
  if (presentedHash.equals(state.currentHash)) return 'rotate';
  const isPrevious = state.previousHash !== null && presentedHash.equals(state.previousHash);
  return isPrevious && isWithinGrace(state.refreshedAt, now, graceSeconds) ? 'repeat' : 'reused';
}

/** A refresh that another server dates slightly into the future happened just now: without a grace that is too late as well. */
function isWithinGrace(refreshedAt: Date | null, now: Date, graceSeconds: number): boolean {
  return refreshedAt !== null && Math.max(0, now.getTime() - refreshedAt.getTime()) < graceSeconds * 1000;
}
