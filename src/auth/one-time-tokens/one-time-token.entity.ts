import { defineEntity, p } from '@mikro-orm/postgresql';
import { id, moment } from '../../database/columns.ts';
import type { TokenPurpose } from './one-time-token-policy.ts';

const OneTimeTokenSchema = defineEntity({
  name: 'OneTimeToken',
  tableName: 'one_time_tokens',
  properties: {
    /** The secret is derived from it (see one-time-secrets.ts). */
    id: id(),
    /** Not a reference, for the reason that mails have none. */
    userId: p.uuid(),
    purpose: p.string().length(50).$type<TokenPurpose>(),
    /** Of the secret, which itself is stored nowhere. */
    secretHash: p.blob().$type<Buffer>().unique('one_time_tokens_secret_hash_key'),
    /** Counted before a code is compared, and on a token that was found before what stands beside it is checked. */
    failedAttempts: p.integer().default(0),
    expiresAt: moment(),
    createdAt: moment(),
  },
  indexes: [
    { name: 'one_time_tokens_user_id_purpose_idx', properties: ['userId', 'purpose'] },
    { name: 'one_time_tokens_expires_at_idx', properties: ['expiresAt'] },
  ],
});

/**
 * A token that a mail gives its reader, good for one use. A user may have several of a purpose: they are gone
 * as soon as one is used.
 */
export class OneTimeToken extends OneTimeTokenSchema.class {}
OneTimeTokenSchema.setClass(OneTimeToken);
