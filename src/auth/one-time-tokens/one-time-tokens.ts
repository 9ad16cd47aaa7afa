import { randomUUID } from 'node:crypto';
import type { EntityManager } from '@mikro-orm/postgresql';
import { OneTimeSecrets } from './one-time-secrets.ts';
import type { OneTimeToken } from './one-time-token.entity.ts';
import { countWrongCode, findCodeId, findToken, findTokenByHash, replaceToken, takeCode, takeToken } from './one-time-token.repository.ts';
import { MAX_CODE_ATTEMPTS, type TokenPurpose, tokenExpiry } from './one-time-token-policy.ts';

/** What stands in a mail. */
export interface MailedSecret {
  readonly secret: string;
  readonly expiresAt: Date;
}

/** What a user is sent by mail, to prove with it that the mail is theirs: good once, for a while. */
export class OneTimeTokens {
  readonly #secrets: OneTimeSecrets;

  constructor(secretKey: string) {
    this.#secrets = new OneTimeSecrets(secretKey);
  }

  /** Makes a token, in the place of an older one; returns its id, with which the mail gets at the secret. */
  async issue(em: EntityManager, userId: string, purpose: TokenPurpose, now: Date): Promise<string> {
    const id = randomUUID();
    const secretHash = this.#secrets.hashOf(purpose, id);
    await replaceToken(em, { id, userId, purpose, secretHash, expiresAt: tokenExpiry(purpose, now), now });
    return id;
  }

  /** For the mail; undefined where it was used or replaced in the meantime. */
  async reveal(em: EntityManager, id: string): Promise<MailedSecret | undefined> {
    const token = await findToken(em, id);
    return token ? { secret: this.#secrets.reveal(token.purpose, id), expiresAt: token.expiresAt } : undefined;
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
