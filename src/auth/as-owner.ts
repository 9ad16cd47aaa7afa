import type { EntityManager } from '@mikro-orm/postgresql';
import type { Call } from '../call/call.ts';
import type { Client } from '../call/client.ts';
import { transaction } from '../database/transaction.ts';
import type { User } from '../users/user.entity.ts';
import { lockUserWithPassword } from '../users/user.repository.ts';
import { invalidCredentials } from './auth.errors.ts';
import type { Attempts } from './lockout/attempts.ts';
import type { ClaimedAttempt } from './lockout/login-attempt.repository.ts';
import type { Verdict } from './passwords/password-scheme.ts';
import type { Passwords } from './passwords/passwords.ts';

export interface AsOwnerDeps {
  readonly passwords: Passwords;
  readonly attempts: Attempts;
}

/** A password that somebody presents for an account. */
export interface Guess {
  readonly attempt: ClaimedAttempt;
  readonly password: string;
  readonly client: Client;
}

/** What is done for who knows the password: in one transaction, with the user locked. */
export type OwnersWork<T> = (em: EntityManager, user: User) => Promise<T>;

export interface OwnersTask<T> {
  /** A quicker way. Undefined where it does not lead there: then it has changed nothing. */
  readonly atOnce?: (verdict: Verdict, attempt: ClaimedAttempt) => Promise<T | undefined>;
  /** Does what takes long, before the user is locked. */
  readonly prepare: (verdict: Verdict) => Promise<OwnersWork<T>>;
}

/**
 * Checks a password and does the task for who knows it; throws INVALID_CREDENTIALS where the password is wrong.
 *
 * The stored hash may be replaced before the user is locked: by a change of password, or by a parallel login that brings it up to date.
 * Then the password is checked against the new one: who knows only the old password does not get in, and who knows the right one does.
 */
export async function asOwner<T>(call: Call, deps: AsOwnerDeps, guess: Guess, task: OwnersTask<T>): Promise<T> {
  const verdict = await checkPassword(call, deps, guess);
  const outcome = await runUnlessReplaced(call, guess, verdict, task).catch(async (error: unknown) => {
    // The password was right: whatever else went wrong, it was no guess.
    await deps.attempts.release(call, guess.attempt);
    throw error;
  });
  if ('result' in outcome) return outcome.result;
  return asOwner(call, deps, { ...guess, attempt: { ...guess.attempt, passwordHash: outcome.replacedBy } }, task);
}

/**
 * Compares a password for a claimed attempt. The attempt is given back only if nothing was compared (cancelled or shed while it waited):
 * otherwise short deadlines would make for free guesses.
 */
async function checkPassword(call: Call, { passwords, attempts }: AsOwnerDeps, { attempt, password, client }: Guess): Promise<Verdict> {
  const verdict = await passwords.verify(password, attempt.passwordHash, call.signal).catch(async (error: unknown) => {
    await attempts.release(call, attempt);
    throw error;
  });
  if (verdict.matches) return verdict;
  await attempts.fail(call, attempt, client);
  throw invalidCredentials();
}

type Outcome<T> = { readonly result: T } | { readonly replacedBy: string | null };

async function runUnlessReplaced<T>(
  call: Call,
  { attempt }: Guess,
  verdict: Verdict,
  { atOnce, prepare }: OwnersTask<T>,
): Promise<Outcome<T>> {
  const result = await atOnce?.(verdict, attempt);
  if (result !== undefined) return { result };
  const work = await prepare(verdict);
  return transaction(call.em, async (em): Promise<Outcome<T>> => {
    const user = await lockUserWithPassword(em, attempt.userId ?? '');
    // Deactivated or deleted since the attempt was claimed.
    if (!user?.active) throw invalidCredentials();
    if (user.passwordHash !== attempt.passwordHash) return { replacedBy: user.passwordHash ?? null };
    return { result: await work(em, user) };
  });
}
