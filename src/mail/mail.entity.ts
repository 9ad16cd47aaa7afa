import { defineEntity, p } from '@mikro-orm/postgresql';
import { id, moment } from '../database/columns.ts';

const MailSchema = defineEntity({
  name: 'Mail',
  tableName: 'mails',
  properties: {
    id: id(),
    /** The name of the template. */
    template: p.string().length(50),
    /**
     * The user that it goes to, at the address that they have when it is sent; absent where the address is in the data.
     */
    userId: p.uuid().nullable(),
    /** Ids of what the mail speaks of; nothing personal in the clear. */
    data: p.json<Record<string, string>>().defaultRaw(`'{}'::jsonb`),
    attempts: p.integer().default(0),
    /** Not before then. Moved on before an attempt, so that nobody else makes it at the same time. */
    nextAttemptAt: moment(),
    createdAt: moment(),
  },
  indexes: [
    { name: 'mails_next_attempt_at_idx', properties: ['nextAttemptAt'] },
    { name: 'mails_user_id_idx', properties: ['userId'] },
  ],
});

/**
 * A mail to be sent; the row goes when it has been. Not a reference to the user: whoever holds the user's row would hold up the mails of all
 * others, which are queued in order.
 */
export class Mail extends MailSchema.class {}
MailSchema.setClass(Mail);
