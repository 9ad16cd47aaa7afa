import { type Failure, failureOf } from './expect-status.ts';
import type { TestService } from './service.ts';

export type Identifier = { readonly email: string } | { readonly username: string };

export const WRONG = 'not the password';

export interface Attempt {
  readonly password?: string;
  readonly deviceToken?: string | undefined;
  readonly signal?: AbortSignal;
}

/** How an attempt to log in ends: in a success, or the reason why not and for how long to wait. */
export interface Outcome {
  readonly reason: string;
  readonly seconds: number | undefined;
}

export async function attempt(
  { auth }: Pick<TestService, 'auth'>,
  identifier: Identifier,
  { password = WRONG, deviceToken, signal }: Attempt = {},
): Promise<Outcome> {
  const client = deviceToken === undefined ? undefined : { deviceToken };
  const call = auth.login({ ...identifier, password, client }, signal ? { signal } : {});
  const success = await call.then(
    () => true,
    () => false,
  );
  if (success) return { reason: 'success', seconds: undefined };
  const { reason, code, retryAfterSeconds }: Failure = await failureOf(call);
  return { reason: reason ?? code, seconds: retryAfterSeconds };
}

export const REFUSED = 'TOO_MANY_ATTEMPTS';
export const FAILED = 'INVALID_CREDENTIALS';

/** How many outcomes there are of each reason. */
export function tally(outcomes: readonly PromiseSettledResult<Outcome>[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const outcome of outcomes) {
    if (outcome.status === 'rejected') throw outcome.reason;
    const { reason } = outcome.value;
    counts[reason] = (counts[reason] ?? 0) + 1;
  }
  return counts;
}

/** For how long those who were refused are told to wait. */
export function waits(outcomes: readonly PromiseSettledResult<Outcome>[]): (number | undefined)[] {
  return outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' && outcome.value.reason === REFUSED ? [outcome.value.seconds] : []));
}

/** Reproducible chance (mulberry32). */
export function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
