import { type EntityManager, LockMode, raw } from '@mikro-orm/postgresql';
import { moveMoments } from '../database/moments.ts';
import { searchTextOf } from './search-text.repository.ts';
import { User } from './user.entity.ts';
import type { ProfileInput } from './user-fields.ts';

const WITH_PROFILE = { populate: ['profile'] } as const;

export interface NewUserKeys {
  readonly email: string;
  readonly username?: string | undefined;
  readonly requestId?: string | undefined;
}

/** A user with a profile, to be inserted at the flush; the unique indexes decide then whether they may be. */
export function addUser(em: EntityManager, { email, username, requestId }: NewUserKeys, profile: ProfileInput): User {
  const searchText = raw(searchTextOf('?::text', '?::text', '?::text'), [email, username ?? null, profile.fullName]);
  return em.create(User, { email, username: username ?? null, requestId: requestId ?? null, searchText, profile: { ...profile } });
}

export function findUser(em: EntityManager, id: string): Promise<User | null> {
  return em.findOne(User, { id }, WITH_PROFILE);
}

export function findUserByEmail(em: EntityManager, email: string): Promise<User | null> {
  return em.findOne(User, { email }, WITH_PROFILE);
}

export function findUserByUsername(em: EntityManager, username: string): Promise<User | null> {
  return em.findOne(User, { username }, WITH_PROFILE);
}

export function findUserByRequestId(em: EntityManager, requestId: string): Promise<User | null> {
  return em.findOne(User, { requestId }, WITH_PROFILE);
}

/** The id of the user who has the email. Not an entity: finding one would take longer than finding none. */
export async function findUserIdByEmail(em: EntityManager, email: string): Promise<string | undefined> {
  const rows = await em.execute<{ id: string }[]>('select id from users where email = ?', [email]);
  return rows[0]?.id;
}

/** The id of the user who has the email. They are not deleted before the transaction ends. */
export async function lockUserIdByEmail(em: EntityManager, email: string): Promise<string | undefined> {
  const rows = await em.execute<{ id: string }[]>('select id from users where email = ? for key share', [email]);
  return rows[0]?.id;
}

/** Nobody deletes the user, or ends their sessions, until the transaction ends. */
export async function lockUserId(em: EntityManager, id: string): Promise<void> {
  await em.execute('select 1 from users where id = ? for key share', [id]);
}

/**
 * The id of a user as a part of a statement: null for one who is gone. A user who is there is not deleted before the
 * transaction ends.
 */
export const lockedUserId = (id: string): string => `(select users.id from users where users.id = ${id} for key share)`;

export interface ActiveUser {
  readonly id: string;
  readonly email: string;
  readonly verified: boolean;
}

/** Those of the users who exist and are active. */
export async function findActiveUsers(em: EntityManager, ids: readonly string[]): Promise<ReadonlyMap<string, ActiveUser>> {
  const sql = 'select id, email, email_verified_at is not null as verified from users where id = any(cast(? as uuid[])) and is_active';
  const users = ids.length === 0 ? [] : await em.execute<ActiveUser[]>(sql, [`{${ids.join(',')}}`]);
  return new Map(users.map((user) => [user.id, user]));
}

/** Those of the emails that somebody has. */
export async function findTakenEmails(em: EntityManager, emails: readonly string[]): Promise<ReadonlySet<string>> {
  if (emails.length === 0) return new Set();
  const sql = 'select email from users where email in (select json_array_elements_text(?))';
  const rows = await em.execute<{ email: string }[]>(sql, [JSON.stringify(emails)]);
  return new Set(rows.map(({ email }) => email));
}

/** Nobody else changes the user, or begins a session of theirs, until the transaction ends. */
export async function lockUser(em: EntityManager, id: string): Promise<User | null> {
  const user = await em.findOne(User, { id }, { lockMode: LockMode.PESSIMISTIC_WRITE });
  return user && loadProfile(em, user);
}

/**
 * Reads the profile of a user who is locked. Not joined: PostgreSQL reads a row again that it had to wait for, but not what is joined to it, so
 * the profile would be the one from before somebody else's change.
 */
export async function loadProfile(em: EntityManager, user: User): Promise<User> {
  await em.populate(user, ['profile']);
  return user;
}

/** The same with the password hash, but without the profile, for where a password is at stake. */
export async function lockUserWithPassword(em: EntityManager, id: string): Promise<User | null> {
  return em.findOne(User, { id }, { populate: ['passwordHash'], lockMode: LockMode.PESSIMISTIC_WRITE });
}

/** Moves `last_login_at`, where nobody has done so within the resolution. */
export function noteLastLogin(em: EntityManager, moments: ReadonlyMap<string, Date>, resolutionMs: number): Promise<void> {
  return moveMoments(em, { table: 'users', column: 'last_login_at' }, moments, resolutionMs);
}
