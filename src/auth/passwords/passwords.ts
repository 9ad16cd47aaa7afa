import type { EntityManager } from '@mikro-orm/postgresql';
import type { Config } from '../../config.ts';
import type { Call } from '../../rpc/call.ts';
import type { NewPasswords } from '../../users/create-user.ts';
import type { User } from '../../users/user.entity.ts';
import { HashPool } from './hash-pool.ts';
import { PasswordHistory } from './password-history.entity.ts';
import { findPasswordHistory, replaceInPasswordHistory } from './password-history.repository.ts';
import { newPassword } from './password-policy.ts';
import type { Verdict } from './password-scheme.ts';

/** More than any setting keeps. */
const ALL = 1000;

const NEVER = new AbortController().signal;

/** Sets and checks the passwords of users. */
export class Passwords implements NewPasswords {
  readonly schema: NewPasswords['schema'];
  readonly #pool: HashPool;
  readonly #historyLength: number;
  /** Compared where there is no hash to compare with, so that this takes as long as a wrong password does. */
  readonly #decoy: Promise<string>;

  constructor({ scheme, bcryptCost, pepper, minLength, history }: Config['passwords']) {
    this.schema = newPassword(minLength);
    this.#historyLength = history;
    this.#pool = new HashPool({ scheme, bcryptCost, pepper: pepper.reveal() });
    this.#decoy = this.#pool.hash(crypto.randomUUID(), NEVER);
    // Fails only if the pool is closed before it is needed.
    this.#decoy.catch(() => undefined);
  }

  async verify(password: string, stored: string | null | undefined, signal: AbortSignal): Promise<Verdict> {
    const { matches, outdated } = await this.#pool.verify(password, stored ?? (await this.#decoy), signal);
    return { matches: matches && stored != null, outdated };
  }

  hash(password: string, signal: AbortSignal): Promise<string> {
    return this.#pool.hash(password, signal);
  }

  async prepare(call: Call, password: string): Promise<(em: EntityManager, user: User) => void> {
    const passwordHash = await this.hash(password, call.signal);
    return (em, user) => this.give(em, user, passwordHash, call.now());
  }

  /** Sets the password of a user and remembers it in the history. */
  give(em: EntityManager, user: User, passwordHash: string, now: Date): void {
    user.passwordHash = passwordHash;
    if (this.#historyLength > 0) em.create(PasswordHistory, { user, passwordHash, createdAt: now });
  }

  /** Whether it is one of the latest passwords of the user; the current one may have been brought along without a history. */
  async isReused(call: Call, userId: string, password: string, current: string): Promise<boolean> {
    if (this.#historyLength === 0) return false;
    if (password === current) return true;
    const history = await findPasswordHistory(call.em, userId, this.#historyLength);
    const verdicts = await Promise.all(history.map(({ passwordHash }) => this.verify(password, passwordHash, call.signal)));
    return verdicts.some(({ matches }) => matches);
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

  close(): Promise<void> {
    return this.#pool.close();
  }
}
