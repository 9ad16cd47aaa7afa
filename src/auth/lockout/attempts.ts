import { createHmac } from 'node:crypto';
import type { EntityManager } from '@mikro-orm/postgresql';
import { record } from '../../audit/audit-log.ts';
import type { Call } from '../../call/call.ts';
import type { Client } from '../../call/client.ts';
import { transaction } from '../../database/transaction.ts';
import { tooManyAttempts } from '../auth.errors.ts';
import { isLocked, type LockoutPolicy, lockEnd, secondsUntilUnlocked } from './lockout-policy.ts';
import {
  type AttemptedAccount,
  type AttemptedIdentifier,
  type ClaimedAttempt,
  claimAttempt,
  isClaimed,
  lockAccountOf,
  releaseAttempt,
} from './login-attempt.repository.ts';

/** The lockout: every attempt on a password is claimed before the password is compared, and accounted for after. */
export class Attempts {
  readonly #policy: LockoutPolicy;
  readonly #identifierKey: string;

  constructor(policy: LockoutPolicy, identifierKey: string) {
    this.#policy = policy;
    this.#identifierKey = identifierKey;
  }

  /** Counts an attempt; throws TOO_MANY_ATTEMPTS, without a look at the password, where the account is locked. */
  async claim(call: Call, column: AttemptedIdentifier['column'], value: string): Promise<ClaimedAttempt> {
    const now = call.now();
    const hash = createHmac('sha256', this.#identifierKey).update(`${column}:${value}`).digest();
    const limits = { now, maxAttempts: this.#policy.maxAttempts, lockUntil: lockEnd(now, this.#policy) };
    const { db } = call.uncancelled();
    // Not cancelled with the call: cut short, nobody would know whether the attempt was counted, and it could not be given back.
    const claim = () => claimAttempt(db, { column, value, hash }, limits);
    let attempt = await claim();
    // Refused by no lock that the statement could see: while it waited for the row, the account was locked or erased. Look again.
    if (!isClaimed(attempt) && !isLocked(attempt.lockedUntil, now)) attempt = await claim();
    if (!isClaimed(attempt)) throw tooManyAttempts(secondsUntilUnlocked(attempt.lockedUntil, now, this.#policy));
    return attempt;
  }

  /** The password was not compared, or was right: the attempt does not count. Done even if nobody waits for the call any more. */
  async release(call: Call, attempt: ClaimedAttempt): Promise<void> {
    await releaseAttempt(call.uncancelled().em, attempt, this.#policy.maxAttempts);
  }

  /** The password was wrong: the attempt stays counted and is written down, with the lock that it has led to. */
  async fail(call: Call, attempt: ClaimedAttempt, client: Client): Promise<void> {
    await transaction(call.uncancelled().em, async (em) =>
      recordFailure(em, call, { attempt, account: await lockAccountOf(em, attempt), client }),
    );
  }
}

/** A failed attempt, with its account unless there is none. */
export interface Failure {
  readonly attempt: ClaimedAttempt;
  readonly account: AttemptedAccount | undefined;
  readonly client: Client;
}

/** The same as a part of a unit of work that has locked the account. */
export function recordFailure(em: EntityManager, call: Call, { attempt, account, client }: Failure): void {
  const subject = account ? { userId: account.id } : {};
  if (account && attempt.lockExpired) recordExpiredLock(em, call, account.id);
  record(em, call, { type: 'user.login_failed', ...subject, client });
  if (account?.lockStands) record(em, call, { type: 'user.locked', ...subject, client });
}

/** A lock runs out without anybody doing it; the first attempt after it tells the audit trail. */
export function recordExpiredLock(em: EntityManager, call: Call, userId: string): void {
  record(em, call, { type: 'user.unlocked', userId, metadata: { reason: 'auto' } });
}
