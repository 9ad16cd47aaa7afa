import { type EntityManager, LockMode } from '@mikro-orm/postgresql';
import { User } from './user.entity.ts';

const WITH_PROFILE = { populate: ['profile'] } as const;

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

/** Whose email it is. The user is not deleted before the transaction ends. */
export async function lockUserIdByEmail(em: EntityManager, email: string): Promise<string | undefined> {
  const rows = await em.execute<{ id: string }[]>('select id from users where email = ? for key share', [email]);
  return rows[0]?.id;
}

/** Whether the user exists. If so, they are not deleted before the transaction ends. */
export async function lockUserId(em: EntityManager, id: string): Promise<boolean> {
  return (await em.execute('select 1 from users where id = ? for key share', [id])).length > 0;
}

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

/** Nobody else changes the user, or begins a session of theirs, until the transaction ends. */
export async function lockUser(em: EntityManager, id: string): Promise<User | null> {
  const user = await em.findOne(User, { id }, { lockMode: LockMode.PESSIMISTIC_WRITE });
  // Not joined: PostgreSQL reads a row again that it had to wait for, but not what is joined to it, so the profile would be the one from
  // before somebody else's change.
  if (user) await em.populate(user, ['profile']);
  return user;
}

/** The same with the password hash, but without the profile, for where a password is at stake. */
export async function lockUserWithPassword(em: EntityManager, id: string): Promise<User | null> {
  return em.findOne(User, { id }, { populate: ['passwordHash'], lockMode: LockMode.PESSIMISTIC_WRITE });
}
