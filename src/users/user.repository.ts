import { type EntityManager, LockMode, raw } from '@mikro-orm/postgresql';
import type { ListOrder, UserFilter } from './list-users.ts';
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
  readonly verified: boolean;
}

/** Those of the users who exist and are active. */
export function findActiveUsers(em: EntityManager, ids: readonly string[]): Promise<ActiveUser[]> {
  const sql = 'select id, email_verified_at is not null as verified from users where id = any(cast(? as uuid[])) and is_active';
  return em.execute<ActiveUser[]>(sql, [`{${ids.join(',')}}`]);
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

export interface Page {
  readonly filter: UserFilter;
  readonly order: ListOrder;
  /** Sort key and id of the last user of the page before. */
  readonly after: readonly [string, string] | undefined;
  readonly limit: number;
  readonly now: Date;
}

/** Each sort key has an index together with the id; none of them is null, so that one row comparison finds the place to go on. */
const SORT_KEYS = {
  creation: 'u.created_at',
  email: 'u.email',
  username: `coalesce(u.username, '')`,
  full_name: 'p.full_name',
} as const;

/** Users in order, from after the given place: keyset pagination, so every page costs the same. */
export function listUsers(em: EntityManager, { filter, order, after, limit, now }: Page): Promise<User[]> {
  const key = SORT_KEYS[order.by];
  const id = order.by === 'full_name' ? 'p.user_id' : 'u.id';
  const query = em.createQueryBuilder(User, 'u').innerJoinAndSelect('u.profile', 'p').limit(limit);
  for (const [sql, values] of conditions(filter, now)) query.andWhere(sql, values);
  if (after) query.andWhere(`(${key}, ${id}) ${order.direction === 'asc' ? '>' : '<'} (?, ?)`, [...after]);
  return query.orderBy([{ [raw(key)]: order.direction }, { [raw(id)]: order.direction }]).getResult() as Promise<User[]>;
}

/** Each with its values apart: those of a `raw` condition would become text at once, in which the ORM then looks for more `?`. */
function* conditions({ query, role, active, emailVerified, locked }: UserFilter, now: Date): Generator<[sql: string, values: unknown[]]> {
  if (query !== undefined) {
    const pattern = `%${query.replace(/[\\%_]/g, '\\$&')}%`;
    yield ['(u.email ilike ? or u.username ilike ? or p.full_name ilike ?)', [pattern, pattern, pattern]];
  }
  if (role !== undefined)
    yield [`u.id in (select ur.user_id from user_roles ur join roles r on r.id = ur.role_id where r.name = ?)`, [role]];
  if (active !== undefined) yield ['u.is_active = ?', [active]];
  if (emailVerified !== undefined) yield [`u.email_verified_at is ${emailVerified ? 'not null' : 'null'}`, []];
  if (locked === true) yield ['u.locked_until > ?', [now]];
  if (locked === false) yield ['(u.locked_until is null or u.locked_until <= ?)', [now]];
}
