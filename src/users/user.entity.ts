import { defineEntity, p } from '@mikro-orm/postgresql';
import { id, insertedAt, moment } from '../database/columns.ts';
import { bumpEpoch } from '../events/authorization-epoch.entity.ts';
import { Profile } from './profile.entity.ts';
import { USER_SEARCH_TEXT } from './search-text.repository.ts';

/**
 * The names of the roles of a user, sorted, as a part of a query; `userId` is the column that says which user. The tables are those of
 * access/roles: read along, they cost no query of their own.
 */
export const roleNamesOf = (userId: string): string =>
  `array(select r.name::text from user_roles ur join roles r on r.id = ur.role_id where ur.user_id = ${userId} order by r.name)`;

const UserSchema = defineEntity({
  name: 'User',
  tableName: 'users',
  properties: {
    id: id(),
    email: p.string().length(255).unique('users_email_key'),
    username: p.string().length(64).nullable().unique('users_username_key'),
    /** Names its scheme (see auth/passwords). Loaded only where a password is checked. */
    passwordHash: p.string().length(512).nullable().lazy(),
    hasPassword: p.boolean().formula((cols) => `(${cols.passwordHash} is not null)`),
    emailVerifiedAt: moment().nullable(),
    failedAttempts: p.integer().default(0),
    lockedUntil: moment().nullable(),
    /** These three as well: see auth/lockout/attempt-counters.ts. */
    consecutiveFailures: p.integer().default(0),
    attemptsInFlight: p.integer().default(0),
    attemptedAt: moment().nullable(),
    active: p.boolean().name('is_active').default(true),
    /** Makes a create safe to retry (AIP-155). */
    requestId: p.uuid().nullable().unique('users_request_id_key'),
    createdAt: insertedAt(),
    /** Kept by the trigger, for any SQL that touches the row: never written from here. */
    updatedAt: insertedAt(),
    lastLoginAt: insertedAt(),
    /** Kept by triggers, as updatedAt is. */
    searchText: p.text().nullable().lazy(),
    /** Names, sorted. Part of the same query, so that a page of users costs no more for it. */
    roles: p.array().formula((cols) => roleNamesOf(String(cols.id))),
    profile: () => p.oneToOne(Profile).mappedBy('user'),
  },
  checks: [
    { name: 'users_email_check', expression: 'email = lower(email)' },
    { name: 'users_username_check', expression: 'username = lower(username)' },
    { name: 'users_failed_attempts_check', expression: 'failed_attempts >= 0' },
  ],
  indexes: [
    { name: 'users_locked_until_idx', properties: ['lockedUntil'], where: 'locked_until is not null' },
    { name: 'users_created_at_id_idx', properties: ['createdAt', 'id'] },
    { name: 'users_username_order_idx', expression: `create index "users_username_order_idx" on "users" (coalesce("username", ''), "id")` },
    {
      name: 'users_search_text_idx',
      expression: 'create index "users_search_text_idx" on "users" using gin ("search_text" gin_trgm_ops)',
    },
  ],
  triggers: [
    {
      name: 'users_touch',
      timing: 'before',
      events: ['update'],
      body: 'NEW.updated_at := clock_timestamp(); NEW.created_at := OLD.created_at; RETURN NEW',
    },
    USER_SEARCH_TEXT,
    bumpEpoch('users_active_epoch', ['update'], '(old.is_active IS DISTINCT FROM new.is_active)'),
  ],
});

/** Someone who can sign in, with the bookkeeping of their account. */
export class User extends UserSchema.class {
  isEmailVerified(): boolean {
    return this.emailVerifiedAt != null;
  }

  /** Notes something that the user has done, or that a backend has done for them. Replicas' clocks differ, so it never goes back. */
  noteInteraction(now: Date): void {
    if (now > this.lastLoginAt) this.lastLoginAt = now;
  }
}
UserSchema.setClass(User);
