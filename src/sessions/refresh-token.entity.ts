import { defineEntity, p } from '@mikro-orm/postgresql';
import { moment } from '../database/columns.ts';
import { Session } from './session.entity.ts';

const RefreshTokenSchema = defineEntity({
  name: 'RefreshToken',
  tableName: 'refresh_tokens',
  properties: {
    /** SHA-256 of the token, which itself is stored nowhere. */
    hash: p.blob().name('token_hash').primary(),
    session: () => p.manyToOne(Session).deleteRule('cascade').updateRule('no action').foreignKeyName('refresh_tokens_session_id_fkey'),
    createdAt: moment(),
  },
  indexes: [
    { name: 'refresh_tokens_session_id_idx', properties: ['session'] },
    // Rows are only ever added, in order of time: a block range index is all that finding the old ones needs.
    { name: 'refresh_tokens_created_at_idx', properties: ['createdAt'], type: 'brin' },
  ],
});

/**
 * A refresh token that was issued, used or not. Rows never change: which token is good is the session's knowledge, under the
 * session's lock. They are kept so that a used token that comes back is recognised (reuse detection, RFC 9700 §4.14.2).
 */
export class RefreshToken extends RefreshTokenSchema.class {}
RefreshTokenSchema.setClass(RefreshToken);
