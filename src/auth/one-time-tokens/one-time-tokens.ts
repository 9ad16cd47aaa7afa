import { randomUUID } from 'node:crypto';
import type { EntityManager } from '@mikro-orm/postgresql';
import { OneTimeSecrets } from './one-time-secrets.ts';
import type { OneTimeToken } from './one-time-token.entity.ts';
import {
  countWrongCode,
  findCodeId,
  findTokenByHash,
  findTokens,
  replaceTokens,
  takeCode,
  takeToken,
} from './one-time-token.repository.ts';
import { MAX_CODE_ATTEMPTS, type TokenPurpose, tokenExpiry } from './one-time-token-policy.ts';

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

/**
 * The tokens that users are sent by mail, to prove with them that the mail is theirs. Each is good once, for a while.
 */
export class OneTimeTokens {
  readonly #secrets: OneTimeSecrets;

  constructor(secretKey: string) {
    this.#secrets = new OneTimeSecrets(secretKey);
  }

  /** Makes tokens, each in the place of an older one; returns their ids in that order, with which the mails get at the secrets. */
  async issue(em: EntityManager, wanted: readonly WantedToken[], now: Date): Promise<string[]> {
    const tokens = wanted.map(({ userId, purpose }) => {
      const id = randomUUID();
      return { id, userId, purpose, secretHash: this.#secrets.hashOf(purpose, id), expiresAt: tokenExpiry(purpose, now) };
    });
    await replaceTokens(em, tokens, now);
    return tokens.map(({ id }) => id);
  }

  /** For the mails, by the ids of the tokens; those are missing that were used or replaced in the meantime. */
  async reveal(em: EntityManager, ids: readonly string[]): Promise<ReadonlyMap<string, MailedSecret>> {
    const tokens = await findTokens(em, ids);
    return new Map(tokens.map(({ id, purpose, expiresAt }) => [id, { secret: this.#secrets.reveal(purpose, id), expiresAt }]));
  }

  /** The token that somebody presents, unless it is unknown or expired. It is not used up yet. */
  async find(em: EntityManager, purpose: TokenPurpose, token: string, now: Date): Promise<OneTimeToken | undefined> {
    const found = await findTokenByHash(em, purpose, this.#secrets.hashOfToken(token));
    return found && found.expiresAt > now ? found : undefined;
  }

  /** Uses the token up; false where somebody was faster. */
  take(em: EntityManager, token: OneTimeToken): Promise<boolean> {
    return takeToken(em, token);
  }

  /** Uses up the code of a user if it is the right one; counts a wrong one. The same statements for a user without a code. */
  async takeCode(em: EntityManager, userId: string, code: string, now: Date): Promise<boolean> {
    const secretHash = this.#secrets.hashOfCode((await findCodeId(em, userId)) ?? randomUUID(), code);
    const taken = await takeCode(em, { userId, secretHash, now, maxAttempts: MAX_CODE_ATTEMPTS });
    if (!taken) await countWrongCode(em, userId);
    return taken;
  }
}
