import type { EntityManager } from '@mikro-orm/postgresql';
import type { Call } from '../call/call.ts';
import type { Client } from '../call/client.ts';
import { transaction } from '../database/transaction.ts';
import type { User } from '../users/user.entity.ts';
import { lockUserWithPassword } from '../users/user.repository.ts';
import { invalidCredentials } from './auth.errors.ts';
import type { Attempts } from './lockout/attempts.ts';
import type { ClaimedAttempt } from './lockout/login-attempt.repository.ts';
import { turnOf } from './passwords/hash-pool.ts';
import type { Verdict } from './passwords/password-scheme.ts';
import type { Passwords } from './passwords/passwords.ts';

export interface WithVerifiedPasswordDeps {
  readonly passwords: Passwords;
  readonly attempts: Attempts;
}

/** A password that somebody presents for an account. */
export interface Guess {
  readonly attempt: ClaimedAttempt;
  readonly password: string;
  readonly client: Client;
}

/** Runs work in one transaction with the user locked, whose stored hash is still the one that the password has matched. */
export type WithLockedUser = <T>(work: (em: EntityManager, user: User) => Promise<T>) => Promise<T>;

/**
 * Verifies a password and lets `use` go on for who knows it; throws INVALID_CREDENTIALS where it is wrong. `use` does what takes long first,
 * another hash for one, and then asks for the locked user.
 *
 * The stored hash may be replaced before the user is locked: by a change of password, or by a parallel login that brings it up to date. Then
 * the password is verified against the new one: who knows only the old password does not get in, and who knows the right one does.
 */
export async function withVerifiedPassword<T>(
  call: Call,
  deps: WithVerifiedPasswordDeps,
  guess: Guess,
  use: (verdict: Verdict, withLockedUser: WithLockedUser) => Promise<T>,
): Promise<T> {
  const verdict = await verify(call, deps, guess);
  try {
    return await use(verdict, (work) => transaction(call.em, (em) => withLockedUser(em, guess, work)));
  } catch (error) {
    if (error instanceof HashReplaced) {
      return withVerifiedPassword(call, deps, { ...guess, attempt: { ...guess.attempt, passwordHash: error.current } }, use);
    }
    // The password was right: whatever else went wrong, it was no guess.
    await deps.attempts.release(call, guess.attempt);
    throw error;
  }
}

/** The password was verified against a hash that is not stored any more. */
class HashReplaced extends Error {
  readonly current: string | null;

  constructor(current: string | null) {
    super('the stored hash was replaced meanwhile');
    this.current = current;
  }
}

/**
 * Compares a password for a claimed attempt. The attempt is given back only if nothing was compared (cancelled or shed while it waited):
 * otherwise short deadlines would make for free guesses.
 */
async function verify(call: Call, { passwords, attempts }: WithVerifiedPasswordDeps, guess: Guess): Promise<Verdict> {
  const { attempt, password, client } = guess;
  const turn = turnOf(call, client, { known: attempt.deviceHash !== null });
  const verdict = await passwords.verify(password, passwordOf(attempt), turn).catch(async (error: unknown) => {
    await attempts.release(call, attempt);
    throw error;
  });
  if (verdict.matches && attempt.decides) return verdict;
  await attempts.fail(call, attempt, client);
  throw invalidCredentials();
}

/**
 * By the account where there is one, whichever of its identifiers was given, and whether it is locked or not: a lock under one name would show in the
 * time under the other.
 */
function passwordOf({ passwordHash, accountId, identifierHash }: ClaimedAttempt) {
  return { stored: passwordHash, identity: accountId ?? identifierHash ?? '' };
}

async function withLockedUser<T>(em: EntityManager, { attempt }: Guess, work: (em: EntityManager, user: User) => Promise<T>): Promise<T> {
  const user = await lockUserWithPassword(em, attempt.userId ?? '');
  // Deactivated or deleted since the attempt was claimed.
  if (!user?.active) throw invalidCredentials();
  if (user.passwordHash !== attempt.passwordHash) throw new HashReplaced(user.passwordHash ?? null);
  return work(em, user);
}
