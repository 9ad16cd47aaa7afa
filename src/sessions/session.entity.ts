import { defineEntity, type Opt, p } from '@mikro-orm/postgresql';
import { id, moment } from '../database/columns.ts';
import { User } from '../users/user.entity.ts';

const SessionSchema = defineEntity({
  name: 'Session',
  tableName: 'sessions',
  properties: {
    id: id(),
    user: () => p.manyToOne(User).deleteRule('cascade').updateRule('no action').foreignKeyName('sessions_user_id_fkey'),
    ipAddress: p.string().length(45).nullable(),
    userAgent: p.string().length(1024).nullable(),
    deviceName: p.string().length(100).nullable(),
    /** The methods by which the user proved who they are (RFC 8176), for the `amr` claim. */
    authMethods: p.array().columnType('text[]'),
    createdAt: moment(),
    lastActiveAt: moment(),
    expiresAt: moment(),
    /**
     * The day (UTC) of it, to find old sessions by: `expires_at` moves with every refresh, and an index on it would have to be written each time,
     * together with all others (PostgreSQL's heap-only tuples need a row's indexed columns unchanged).
     */
    expiresOn: p.date().$type<Opt<string>>().generated(`((expires_at at time zone 'UTC')::date) stored`).hidden(),
    revokedAt: moment().nullable(),
    /**
     * SHA-256 of what all refresh tokens of the session have in common, to find it by (see auth/tokens/refresh-tokens.ts). It never changes, for the
     * reason above.
     */
    refreshFamilyHash: p.blob().$type<Buffer>().unique('sessions_refresh_family_hash_key'),
    /** SHA-256 of the refresh token that is good now. */
    refreshHash: p.blob().$type<Buffer>(),
    /** SHA-256 of the one before it: within the grace period it gets the same successor again. */
    previousRefreshHash: p.blob().$type<Buffer>().nullable(),
    /** Together with the previous token it yields the current one (see auth/tokens/refresh-tokens.ts). */
    refreshSalt: p.blob().$type<Buffer>().nullable(),
    refreshedAt: moment().nullable(),
  },
  indexes: [
    // A login reads the live sessions of a user, past however many that were ended. No refresh writes either column.
    { name: 'sessions_user_id_revoked_at_idx', properties: ['user', 'revokedAt'] },
    { name: 'sessions_revoked_at_idx', properties: ['revokedAt'], where: 'revoked_at is not null' },
    { name: 'sessions_expires_on_idx', properties: ['expiresOn'] },
  ],
});

/** One signed-in device. It is live until it is revoked or expires. */
export class Session extends SessionSchema.class {
  isLive(now: Date): boolean {
    return this.revokedAt == null && this.expiresAt > now;
  }
}
SessionSchema.setClass(Session);
