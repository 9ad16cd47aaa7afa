import { createHmac } from 'node:crypto';
import type { EntityManager } from '@mikro-orm/postgresql';
import { record } from '../../audit/audit-log.ts';
import type { Call } from '../../call/call.ts';
import { type Client, NO_CLIENT } from '../../call/client.ts';
import { transaction, untilNoConflict } from '../../database/transaction.ts';
import { tooManyAttempts } from '../auth.errors.ts';
import { hashDeviceToken } from './device-tokens.ts';
import { type LockoutPolicy, lockEnd, secondsToWait } from './lockout-policy.ts';
import { type ClaimedAttempt, claimAttempt, countFailure, isClaimed, releaseAttempt, type Target } from './login-attempt.repository.ts';

/** The lockout: every attempt on a password is claimed before the password is compared, and accounted for after. */
export class Attempts {
  readonly #policy: LockoutPolicy;
  readonly #identifierKey: string;

  constructor(policy: LockoutPolicy, identifierKey: string) {
    this.#policy = policy;
    this.#identifierKey = identifierKey;
  }

  /** Claims an attempt; throws TOO_MANY_ATTEMPTS, without a look at the password, where none is left. */
  async claim(call: Call, column: Target['column'], value: string, { deviceToken }: Client = NO_CLIENT): Promise<ClaimedAttempt> {
    const now = call.now();
    const hash = createHmac('sha256', this.#identifierKey).update(`${column}:${value}`).digest();
    const target = { column, value, hash, deviceHash: deviceToken ? hashDeviceToken(deviceToken) : null };
    // Not cancelled with the call: cut short, nobody would know whether the attempt was claimed, and it could not be given back.
    const limits = { now, maxAttempts: this.#policy.maxAttempts };
    const claim = () => untilNoConflict(() => claimAttempt(call.uncancelled().db, target, limits));
    let attempt = await claim();
    // While it waited for a row, the account was locked or erased.
    if (!isClaimed(attempt) && !attempt.certain) attempt = await claim();
    if (!isClaimed(attempt)) throw tooManyAttempts(secondsToWait(attempt, now, this.#policy));
    return attempt;
  }

  /** The password was not compared, or was right: the attempt does not count. Done even if nobody waits for the call any more. */
  async release(call: Call, attempt: ClaimedAttempt): Promise<void> {
    await untilNoConflict(() => releaseAttempt(call.uncancelled().em, attempt));
  }

  /** The password was wrong: the attempt counts and is written down, with the lock that it has led to. */
  async fail(call: Call, attempt: ClaimedAttempt, client: Client): Promise<void> {
    await transaction(call.uncancelled().em, (em) => this.recordFailure(em, call, { attempt, client }));
  }

  /** The same as a part of a unit of work. */
  async recordFailure(em: EntityManager, call: Call, { attempt, client }: Failure): Promise<void> {
    const now = call.now();
    const { maxAttempts } = this.#policy;
    const { lockExpired, locked } = await countFailure(em, attempt, { now, maxAttempts, lockUntil: lockEnd(now, this.#policy) });
    const subject = attempt.userId === null ? {} : { userId: attempt.userId };
    const metadata: Record<string, string> = attempt.deviceHash ? { known_device: 'true' } : {};
    if (lockExpired) record(em, call, { type: 'user.unlocked', ...subject, metadata: { reason: 'auto' } });
    record(em, call, { type: 'user.login_failed', ...subject, client, metadata });
    if (locked) record(em, call, { type: 'user.locked', ...subject, client });
  }
}

export interface Failure {
  readonly attempt: ClaimedAttempt;
  readonly client: Client;
}
