import { defineEntity, type Opt, p } from '@mikro-orm/postgresql';
import { id, moment } from '../database/columns.ts';
import { User } from '../users/user.entity.ts';
import { CURRENT_GENERATION } from './session-generation.entity.ts';

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
    /** The service account that signed the user in. Not a reference: a session outlives it, and a login looks nothing up for it. */
    clientId: p.uuid().nullable(),
    createdAt: moment(),
    /** The latest moment at which the user has proved anew who they are; null: they have not since the session began. */
    reauthenticatedAt: moment().nullable(),
    lastActiveAt: moment(),
    expiresAt: moment(),
    /**
     * The day (UTC) of it, to find old sessions by: `expires_at` moves with every refresh, and an index on it would have to be written each time,
     * together with all others (PostgreSQL's heap-only tuples need a row's indexed columns unchanged).
     */
    expiresOn: p.date().$type<Opt<string>>().generated(`((expires_at at time zone 'UTC')::date) stored`).hidden(),
    revokedAt: moment().nullable(),
    /** The generation in which it began. It never changes. */
    generation: p.integer().default(0),
    ofCurrentGeneration: p.boolean().formula((cols) => `(${cols.generation} = ${CURRENT_GENERATION})`),
    /**
     * SHA-256 of what all refresh tokens of the session have in common, to find it by (see auth/tokens/refresh-tokens.ts). It never changes, for the
     * reason above.
     */
    refreshFamilyHash: p.blob().$type<Buffer>().unique('sessions_refresh_family_hash_key'),
    /** SHA-256 of the refresh token that is good now. */
    refreshHash: p.blob().$type<Buffer>(),
    /** Written by the version before alone, which may serve on this schema until it is replaced: the next version drops it. */
    previousRefreshHash: p.blob().$type<Buffer>().nullable().lazy(),
    /** Together with the token before it yields the current one (see auth/tokens/refresh-tokens.ts). */
    refreshSalt: p.blob().$type<Buffer>().nullable(),
    refreshedAt: moment().nullable(),
    /** Moments and salts of a few rotations before the latest one (see rotate-session.repository.ts). */
    earlierRotations: p.blob().$type<Buffer>().nullable(),
  },
  indexes: [
    // A login reads the live sessions of a user, past however many that were ended. No refresh writes either column.
    { name: 'sessions_user_id_revoked_at_idx', properties: ['user', 'revokedAt'] },
    { name: 'sessions_revoked_at_idx', properties: ['revokedAt'], where: 'revoked_at is not null' },
    { name: 'sessions_expires_on_idx', properties: ['expiresOn'] },
  ],
});

/** One signed-in device. It is live until it is revoked, alone or with all others, or expires. */
export class Session extends SessionSchema.class {
  isLive(now: Date): boolean {
    return this.revokedAt == null && this.expiresAt > now && this.ofCurrentGeneration;
  }

  /** Lets it end when it is so many seconds old: SESSION_MAX_AGE may have been longer at its latest refresh. */
  limitAge(maxAge: number): void {
    const end = this.createdAt.getTime() + maxAge * 1000;
    if (this.expiresAt.getTime() > end) this.expiresAt = new Date(end);
  }
}
SessionSchema.setClass(Session);
