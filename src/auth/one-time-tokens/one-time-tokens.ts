import { randomUUID, timingSafeEqual } from 'node:crypto';
import type { EntityManager } from '@mikro-orm/postgresql';
import { OneTimeSecrets } from './one-time-secrets.ts';
import type { OneTimeToken } from './one-time-token.entity.ts';
import {
  type ClaimedCode,
  claimCodes,
  claimToken,
  deleteTokens,
  findNewestTokens,
  findTokenByHash,
  findTokens,
  insertTokens,
  releaseTokens,
  takeToken,
} from './one-time-token.repository.ts';
import { isFresh, MAX_ATTEMPTS, type TokenPurpose, tokenExpiry } from './one-time-token-policy.ts';

/** The user that a token is for, and the purpose that it serves. */
export interface WantedToken {
  readonly userId: string;
  readonly purpose: TokenPurpose;
}

/** The secret that stands in a mail, and its expiry. */
export interface MailedSecret {
  readonly secret: string;
  readonly expiresAt: Date;
}

/** An attempt on the codes of a user, which was counted before they were compared. */
export interface CodeAttempt {
  readonly userId: string;
  readonly claimed: readonly ClaimedCode[];
  /** The id of the code that matches; absent: the attempt has failed. */
  readonly matching: string | undefined;
}

/**
 * The tokens that users are sent by mail, to prove with them that the mail is theirs. Each is good once, for a while.
 */
export class OneTimeTokens {
  readonly #secrets: OneTimeSecrets;

  constructor(secretKey: string) {
    this.#secrets = new OneTimeSecrets(secretKey);
  }

  /**
   * Returns the ids of tokens in that order, with which the mails get at the secrets: of those that were made a while ago where they are fresh, and
   * of new ones otherwise. At most one for each user and purpose.
   */
  async issue(em: EntityManager, wanted: readonly WantedToken[], now: Date): Promise<string[]> {
    const fresh = (await findNewestTokens(em, wanted)).filter((token) => isFresh(token, now));
    const known = new Map<string, string>(fresh.map((token) => [keyOf(token), token.id]));
    const made = wanted.filter((it) => !known.has(keyOf(it))).map((it) => this.#make(it, now));
    if (made.length > 0) await insertTokens(em, made, now);
    for (const token of made) known.set(keyOf(token), token.id);
    return wanted.map((it) => known.get(keyOf(it)) ?? '');
  }

  #make({ userId, purpose }: WantedToken, now: Date) {
    const id = randomUUID();
    return { id, userId, purpose, secretHash: this.#secrets.hashOf(purpose, id), expiresAt: tokenExpiry(purpose, now) };
  }

  /** For the mails, by the ids of the tokens; those are missing that were used in the meantime. */
  async reveal(em: EntityManager, ids: readonly string[]): Promise<ReadonlyMap<string, MailedSecret>> {
    const tokens = await findTokens(em, ids);
    return new Map(tokens.map(({ id, purpose, expiresAt }) => [id, { secret: this.#secrets.reveal(purpose, id), expiresAt }]));
  }

  /** The token that somebody presents, unless it is unknown or expired. It is not used up yet. */
  async find(em: EntityManager, purpose: TokenPurpose, token: string, now: Date): Promise<OneTimeToken | undefined> {
    const found = await findTokenByHash(em, purpose, this.#secrets.hashOfToken(token));
    return found && found.expiresAt > now ? found : undefined;
  }

  /** Uses up a token, and with it all that the user has of its purpose; false where somebody was faster. */
  async take(em: EntityManager, { id, userId, purpose }: WantedToken & { readonly id: string }): Promise<boolean> {
    const taken = await takeToken(em, id);
    if (taken) await deleteTokens(em, userId, [purpose]);
    return taken;
  }

  /** Counts an attempt with a token that was found; false where it has had as many as it may. */
  attempt(em: EntityManager, { id }: Pick<OneTimeToken, 'id'>): Promise<boolean> {
    return claimToken(em, id, MAX_ATTEMPTS);
  }

  /** The attempt has told nothing: it does not count. */
  takeBack(em: EntityManager, token: Pick<OneTimeToken, 'id'>): Promise<void> {
    return releaseTokens(em, [token]);
  }

  /** Counts an attempt on the codes of a user, and then compares. The same statement for a user without a code. */
  async attemptCode(em: EntityManager, userId: string, code: string, now: Date): Promise<CodeAttempt> {
    const claimed = await claimCodes(em, userId, now, MAX_ATTEMPTS);
    const matching = claimed.find(({ id, secretHash }) => timingSafeEqual(secretHash, this.#secrets.hashOfCode(id, code)));
    return { userId, claimed, matching: matching?.id };
  }

  /** The code was right, and what it was for has failed: the attempt does not count. */
  release(em: EntityManager, { claimed }: CodeAttempt): Promise<void> {
    return releaseTokens(em, claimed);
  }

  /** Uses up the code that matches, and with it all others of the user; false where somebody was faster, or none matches. */
  async takeCode(em: EntityManager, { userId, matching }: CodeAttempt): Promise<boolean> {
    return matching !== undefined && this.take(em, { id: matching, userId, purpose: 'login_code' });
  }
}

const keyOf = ({ userId, purpose }: WantedToken) => `${purpose} ${userId}`;
