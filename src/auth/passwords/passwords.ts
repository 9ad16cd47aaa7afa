import type { EntityManager } from '@mikro-orm/postgresql';
import type { Call } from '../../call/call.ts';
import type { Client } from '../../call/client.ts';
import { invalidFields } from '../../call/errors.ts';
import { type Step, UNTRACED } from '../../observability/tracing/tracer.ts';
import type { NewPasswords } from '../../users/create-user.ts';
import type { User } from '../../users/user.entity.ts';
import type { PasswordPolicy } from '../get-password-policy.ts';
import type { BreachCheck } from './breach-check.ts';
import { DummyHashes, type DummyHashesDeps } from './dummy-hashes.ts';
import { type HashMetrics, HashPool, type HashTurn, turnOf } from './hash-pool.ts';
import { PasswordHistory } from './password-history.entity.ts';
import { findLatestHashes, findPasswordHistory, replaceInPasswordHistory } from './password-history.repository.ts';
import {
  BREACHED,
  brokenRules,
  MAX_PASSWORD_BYTES,
  newPassword,
  type PasswordRules,
  type PersonalData,
  REUSED,
  type Refusal,
} from './password-policy.ts';
import { readStoredHash, type SchemeSettings, type StoredHash, unmatchedHash, type Verdict } from './password-scheme.ts';
import type { PasswordSettings } from './password-settings.ts';
import { COMMON_PASSWORDS } from './popular-passwords.ts';
import { isPredictable } from './predictable-password.ts';
import { UnusableHash } from './schemes/foreign-hash.ts';

/** More than any setting keeps. */
const ALL = 1000;

/** A password that somebody wants to have. */
export interface Candidate {
  readonly password: string;
  /** Facts about its user to be. */
  readonly about: readonly PersonalData[];
  /** Its user to be, whose latest passwords are refused. */
  readonly userId?: string | undefined;
  /** The end user who wants it, where the call tells. */
  readonly client?: Client | undefined;
}

/** A password for somebody, and the field of the request that it was in. */
export interface AskedPassword extends PersonalData {
  readonly password: string;
  readonly field: string;
  readonly userId?: string | undefined;
  readonly client?: Client | undefined;
}

export interface PasswordsDeps extends Pick<DummyHashesDeps, 'sample'> {
  readonly serviceName: string;
  /** Absent: nobody is asked for leaked passwords. */
  readonly breachCheck: BreachCheck | undefined;
  readonly metrics?: HashMetrics;
  /** Does hashes within spans; absent: nobody collects them. */
  readonly step?: Step | undefined;
  /** To hash on; absent: one a core. */
  readonly threads?: number;
}

/** The facts that everybody may know of a user, so that no password is built from them. */
export function personalData({ email, username, profile }: User): PersonalData {
  return { email, username, names: [profile.firstName, profile.lastName ?? '', profile.fullName] };
}

/** Sets and checks the passwords of users. */
export class Passwords implements NewPasswords {
  /** A new password, as far as it can be checked without knowing whose it is. */
  readonly schema: ReturnType<typeof newPassword>;
  readonly #rules: PasswordRules;
  readonly #scheme: SchemeSettings;
  readonly #pool: HashPool;
  readonly #historyLength: number;
  readonly #breachCheck: BreachCheck | undefined;
  readonly #step: Step;
  readonly #dummies: DummyHashes;

  constructor(
    { scheme, bcryptCost, pepper, minLength, history }: PasswordSettings,
    { serviceName, breachCheck, sample, metrics, step = UNTRACED, threads }: PasswordsDeps,
  ) {
    this.#rules = { minLength, serviceName, common: COMMON_PASSWORDS, isPredictable };
    this.schema = newPassword(this.#rules);
    this.#historyLength = history;
    this.#breachCheck = breachCheck;
    this.#step = step;
    this.#scheme = { scheme, bcryptCost, pepper: pepper.reveal() };
    this.#pool = new HashPool(this.#scheme, { metrics, step }, threads);
    this.#dummies = new DummyHashes({ sample, read: (stored) => this.#read(stored), current: unmatchedHash(this.#scheme) });
  }

  get policy(): PasswordPolicy {
    return {
      minLength: this.#rules.minLength,
      maxBytes: MAX_PASSWORD_BYTES,
      history: this.#historyLength,
      commonPasswords: this.#rules.common.size,
      breachCheck: this.#breachCheck !== undefined,
    };
  }

  /** Finds out how the passwords that are stored were hashed. */
  learnSchemes(): Promise<void> {
    return this.#dummies.refresh();
  }

  /**
   * A stored value that nobody understands is one that nothing matches. `identity` says whose password it would be, for the work that is done
   * where there is none: a hash of the identifier, or the id of the user.
   */
  async verify(
    password: string,
    { stored, identity }: { readonly stored: string | null; readonly identity: string | Buffer },
    turn: HashTurn,
  ): Promise<Verdict> {
    const hash = stored === null ? undefined : this.#read(stored);
    const { matches, outdated } = await this.#pool.verify(password, hash ?? this.#dummies.of(identity), turn);
    return { matches: matches && hash !== undefined, outdated };
  }

  #read(stored: string): StoredHash | undefined {
    try {
      return readStoredHash(stored, this.#scheme);
    } catch (error) {
      if (error instanceof UnusableHash) return undefined;
      throw error;
    }
  }

  /** Throws OVERLOADED where a password could not be compared in time, before anything else is done for it. */
  requireRoom(turn: HashTurn): void {
    this.#pool.requireRoom(turn);
  }

  hash(password: string, turn: HashTurn): Promise<string> {
    return this.#pool.hash(password, turn);
  }

  /** Every rule that a password breaks which can be told without asking anybody. */
  problems(password: string, about: PersonalData): string[] {
    return brokenRules(password, this.#rules, [about]).map(({ description }) => description);
  }

  async prepare(call: Call, password: string, about: PersonalData, client?: Client): Promise<string> {
    await this.requireAcceptable(call, { ...about, password, field: 'password' });
    return this.hash(password, turnOf(call, client));
  }

  /** Throws INVALID_ARGUMENT with every rule that the password breaks. */
  async requireAcceptable(call: Call, { password, field, userId, client, ...about }: AskedPassword): Promise<void> {
    const refusals = await this.refusals(call, { password, userId, client, about: [about] });
    if (refusals.length === 0) return;
    const violations = refusals.map(({ description }) => ({ field, description }));
    throw invalidFields(violations, refusals.includes(REUSED) ? 'PASSWORD_REUSED' : 'INVALID_FIELDS');
  }

  /** Every rule that the password breaks. */
  async refusals(call: Call, { password, about, userId, client }: Candidate): Promise<Refusal[]> {
    const broken = brokenRules(password, this.#rules, about);
    // Neither hashed nor sent anywhere.
    if (broken.some(({ rule }) => rule === 'too_long')) return broken;
    const [reused, breached] = await Promise.all([
      userId !== undefined && this.#isReused(call, userId, password, turnOf(call, client)),
      this.#hasLeaked(call, password),
    ]);
    return [...broken, ...(reused ? [REUSED] : []), ...(breached ? [BREACHED] : [])];
  }

  /** Sets the password of a user and remembers it in the history. */
  give(em: EntityManager, user: User, passwordHash: string, now: Date): void {
    user.passwordHash = passwordHash;
    if (this.#historyLength > 0) em.create(PasswordHistory, { user, passwordHash, createdAt: now });
  }

  /** Gives the user another password; the history keeps the latest ones, also one that was brought along without a history. */
  async replace(em: EntityManager, user: User, passwordHash: string, now: Date): Promise<void> {
    const history = await findPasswordHistory(em, user.id, ALL);
    const others = Math.max(this.#historyLength - 1, 0);
    for (const entry of history.slice(others)) em.remove(entry);
    const previous = user.passwordHash;
    if (previous && history.length < others && !history.some((entry) => entry.passwordHash === previous)) {
      em.create(PasswordHistory, { user, passwordHash: previous, createdAt: user.createdAt });
    }
    this.give(em, user, passwordHash, now);
  }

  /** The same password as it is stored today; the outdated hash goes from the history as well. */
  async upgrade(em: EntityManager, user: User, passwordHash: string): Promise<void> {
    await replaceInPasswordHistory(em, user.id, user.passwordHash ?? '', passwordHash);
    user.passwordHash = passwordHash;
  }

  /** The number of passwords that wait to be hashed. */
  get waiting(): number {
    return this.#pool.waiting;
  }

  close(): Promise<void> {
    return this.#pool.close();
  }

  async #hasLeaked(call: Call, password: string): Promise<boolean> {
    const breachCheck = this.#breachCheck;
    return breachCheck !== undefined && this.#step('look among leaked passwords', () => breachCheck.hasLeaked(password, call.signal));
  }

  async #isReused(call: Call, userId: string, password: string, turn: HashTurn): Promise<boolean> {
    if (this.#historyLength === 0) return false;
    const hashes = await findLatestHashes(call.em, userId, this.#historyLength);
    const verdicts = await Promise.all(hashes.map((hash) => this.verify(password, { stored: hash, identity: userId }, turn)));
    return verdicts.some(({ matches }) => matches);
  }
}
