import type { EntityManager } from '@mikro-orm/postgresql';
import type { Call } from '../call/call.ts';
import { type Client, originOf } from '../call/client.ts';
import type { PreparedStatements } from '../database/prepared.ts';
import { counterKey } from './counter-key.ts';
import { boundOf, DAY_MS, RECIPIENTS_PER_SENDER, SENDER_WINDOW_MS } from './mail-bounds-policy.ts';
import { countMail, countRecipient } from './rate-limit.repository.ts';

/** Lets a caller have mails sent to any number of addresses. */
const BULK = 'identity.mail.bulk';

/** The metadata of a request whose sender has asked for too many addresses. The consumer of the events sends nothing then. */
const WITHHELD: Readonly<Record<string, string>> = { withheld: 'sender' };

const NOTHING: Readonly<Record<string, string>> = {};

/** By this, `auth` asks for mails. */
export type BoundRecipients = (call: Call, client: Client, email: string) => Promise<Readonly<Record<string, string>>>;

/** An address that a mail goes to, and whether its user has proven to read it. */
export interface MailAddress {
  readonly email: string;
  readonly verified: boolean;
}

/** Bounds on mails that strangers can ask for, shared by all replicas through the database (ADR 19). */
export class MailBounds {
  readonly #db: PreparedStatements;
  readonly #hashKey: string;

  constructor(db: PreparedStatements, hashKey: string) {
    this.#db = db;
    this.#hashKey = hashKey;
  }

  /**
   * Counts the address among those that the sender of a call has mails sent to. Returns what to write down with the request: that its mail is
   * withheld, where there are too many. An address without an account counts as well.
   */
  readonly recipients: BoundRecipients = async (call, client, email) => {
    if (call.caller.permissions.has(BULK)) return NOTHING;
    const now = call.now().getTime();
    const counted = {
      key: counterKey(this.#hashKey, 'mail-sender', originOf(call, client)),
      subject: counterKey(this.#hashKey, 'mail', email),
      max: RECIPIENTS_PER_SENDER,
    };
    const within = await countRecipient(this.#db, counted, now, now + SENDER_WINDOW_MS);
    return within ? NOTHING : WITHHELD;
  };

  /**
   * Counts a mail to an address, as a part of the unit of work that queues it; false where it would be one too many. `at` is the moment at which it
   * was asked for. Only mails that are sent count: nobody uses an address's mails up without sending them.
   */
  async admits(em: EntityManager, template: string, { email, verified }: MailAddress, at: Date): Promise<boolean> {
    const bound = boundOf(template, { verified });
    if (!bound) return true;
    const now = at.getTime();
    const pause = { key: counterKey(this.#hashKey, `mail-pause:${bound.name}`, email), windowEnd: now + bound.pause * 1000 };
    const day = { key: counterKey(this.#hashKey, `mail-day:${bound.name}`, email), windowEnd: now + DAY_MS };
    return (await countMail(em, { pause, day, now })) <= bound.perDay;
  }
}
