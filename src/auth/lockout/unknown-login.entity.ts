import { defineEntity, p } from '@mikro-orm/postgresql';
import { moment } from '../../database/columns.ts';

const UnknownLoginSchema = defineEntity({
  name: 'UnknownLogin',
  tableName: 'unknown_logins',
  properties: {
    /** HMAC-SHA256 of the email or username that was tried: the table is no list of addresses. */
    identifierHash: p.blob().primary(),
    failedAttempts: p.integer().default(0),
    lockedUntil: moment().nullable(),
    lastFailedAt: moment(),
  },
  indexes: [{ name: 'unknown_logins_last_failed_at_idx', properties: ['lastFailedAt'] }],
});

/** Used by the version before alone, which may serve on this schema until it is replaced: the next version drops it. */
export class UnknownLogin extends UnknownLoginSchema.class {}
UnknownLoginSchema.setClass(UnknownLogin);
