import { randomUUID } from 'node:crypto';
import type { EntityManager } from '@mikro-orm/postgresql';
import type { User } from '../../users/user.entity.ts';
import { findTakenEmails } from '../../users/user.repository.ts';
import { OneTimeSecrets } from '../one-time-tokens/one-time-secrets.ts';
import { addEmailChange, deletePendingChange, findMailedChanges, type LinkHash, type MailedChange } from './email-change.repository.ts';
import { changeExpiry } from './email-change-policy.ts';

/** A link of a mail about a change of the email. It goes to an address that need not be the user's. */
export interface EmailChangeLink {
  readonly to: string;
  readonly secret: string;
  readonly expiresAt: Date;
}

/** The link that a change has now: one of the two. */
export interface EmailChangeLinks {
  readonly confirm?: EmailChangeLink;
  readonly revert?: EmailChangeLink;
}

/** Changes of users' emails, and the secrets of their links. */
export class EmailChanges {
  readonly #secrets: OneTimeSecrets;

  constructor(secretKey: string) {
    this.#secrets = new OneTimeSecrets(secretKey);
  }

  /** Makes a change that its new address has to prove, in the place of an earlier one; returns its id. The user is locked. */
  async request(em: EntityManager, user: User, newEmail: string, now: Date): Promise<string> {
    await deletePendingChange(em, user.id);
    const id = randomUUID();
    const confirmHash = this.#secrets.hashOf('email_change', id);
    const revertHash = this.#secrets.hashOf('email_revert', id);
    addEmailChange(em, { id, user, newEmail, confirmHash, revertHash, requestedAt: now, expiresAt: changeExpiry(now) });
    return id;
  }

  confirmHash(token: string): LinkHash {
    return { confirmHash: this.#secrets.hashOfToken(token) };
  }

  revertHash(token: string): LinkHash {
    return { revertHash: this.#secrets.hashOfToken(token) };
  }

  /** For the mails, by the ids of the changes. An address that somebody has by now gets no link: they are not asked to give it away. */
  async reveal(em: EntityManager, ids: readonly string[]): Promise<ReadonlyMap<string, EmailChangeLinks>> {
    const changes = await findMailedChanges(em, ids);
    const taken = await findTakenEmails(
      em,
      changes.map(({ newEmail }) => newEmail),
    );
    return new Map(changes.map((change) => [change.id, this.#linksOf(change, taken)]));
  }

  #linksOf({ id, newEmail, oldEmail, expiresAt }: MailedChange, taken: ReadonlySet<string>): EmailChangeLinks {
    if (oldEmail !== null) return { revert: { to: oldEmail, secret: this.#secrets.reveal('email_revert', id), expiresAt } };
    if (taken.has(newEmail)) return {};
    return { confirm: { to: newEmail, secret: this.#secrets.reveal('email_change', id), expiresAt } };
  }
}
