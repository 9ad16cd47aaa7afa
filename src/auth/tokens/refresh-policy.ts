/** The facts about a session that decide on a refresh token of its family. */
export interface RefreshState {
  readonly live: boolean;
  readonly userActive: boolean;
  /** The moments of its latest rotations, the newest first: as many as it remembers. */
  readonly rotatedAt: readonly Date[];
}

/** A token of the family of a session, as it is presented. */
export interface PresentedToken {
  /** The number of rotations since it was the current token, as far as the session remembers them; 0 is the current token. */
  readonly age: number | undefined;
  /** True where its checksum says that it has been issued: it is neither mutilated nor made up. */
  readonly issued: boolean;
}

/**
 * - `rotate`: the current token; it gets a successor.
 * - `repeat`: one that is not used up (a lost answer), or not for longer than the grace period (two tabs): it gets the current token.
 * - `reused`: one that was used up before. Either its owner or a thief holds a copy, so the session ends (RFC 9700 §4.14.2).
 * - `refused`: it gets nothing, and proves nothing.
 */
export type RefreshDecision = 'rotate' | 'repeat' | 'reused' | 'refused';

/**
 * A token is used up when its successor is presented, because only then it is certain that its holder has the answer (ADR 22). The rotation
 * at `rotatedAt[n]` is the one by which a token of age n + 1 was presented first.
 */
export function decideRefresh({ age, issued }: PresentedToken, state: RefreshState, now: Date, graceSeconds: number): RefreshDecision {
  if (!state.live || !state.userActive) return 'refused';
  if (age === 0) return 'rotate';
  if (age === 1) return 'repeat';
  // Another server may have dated it slightly into the future: without a grace that is too late as well.
  const isWithinGrace = (usedUpAt: Date) => Math.max(0, now.getTime() - usedUpAt.getTime()) < graceSeconds * 1000;
  const usedUpAt = age === undefined ? undefined : state.rotatedAt[age - 2];
  if (usedUpAt) return isWithinGrace(usedUpAt) ? 'repeat' : 'reused';
  // Of a token from before the rotations that are remembered it is known that it was used up by the oldest of them at the latest.
  const usedUpBy = state.rotatedAt.at(-1);
  return issued && usedUpBy && !isWithinGrace(usedUpBy) ? 'reused' : 'refused';
}
