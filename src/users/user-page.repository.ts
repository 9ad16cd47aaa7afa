import type { EntityManager } from '@mikro-orm/postgresql';
import type { ListOrder, UserFilter } from './list-users.ts';
import { USER_VIEW } from './user-view.repository.ts';
import type { UserView } from './user-view.ts';

export interface PageRequest {
  readonly filter: UserFilter;
  readonly order: ListOrder;
  /** Sort key and id of the last user of the page before. */
  readonly after: readonly [string, string] | undefined;
  readonly limit: number;
  readonly now: Date;
}

export interface ListedUser {
  readonly user: UserView;
  /** As PostgreSQL writes it. */
  readonly sortKey: string;
}

/** Each sort key has an index together with the id; none of them is null, so that one row comparison finds the place to go on. */
const SORT_KEYS = {
  creation: 'u.created_at',
  email: 'u.email',
  username: `coalesce(u.username, '')`,
  full_name: 'p.full_name',
} as const;

/** SQL with a `?` for each of its values. */
type Sql = readonly [text: string, values: readonly unknown[]];

/** A page in the parts of its statement. */
interface PageSql {
  /** The tables that order and conditions need. */
  readonly source: string;
  /** The same with the profiles, which are shown in any order. */
  readonly withProfiles: string;
  readonly key: string;
  readonly id: string;
  readonly direction: 'asc' | 'desc';
  /** The place in the order where it begins. */
  readonly from: readonly Sql[];
  readonly conditions: readonly Sql[];
  readonly limit: number;
}

/** Users in order, from after the given place: keyset pagination, so every page costs the same. */
export async function findUserPage(em: EntityManager, request: PageRequest): Promise<ListedUser[]> {
  const { filter, limit, now } = request;
  const roleId = filter.role === undefined ? undefined : await findRoleId(em, filter.role);
  if (roleId === null) return [];
  const page = pageOf(request, roleId, conditions(filter, now));
  if (filter.query === undefined) return findUsers(em, inOrder(page));
  const readAhead = limit * (isIndexed(filter.query) ? READ_AHEAD : READ_AHEAD_BY_CHARACTER);
  return findUsers(em, searched(page, readAhead));
}

function pageOf({ order: { by, direction }, after, limit }: PageRequest, roleId: string | undefined, conditions: Iterable<Sql>): PageSql {
  const inRole = roleId !== undefined && by === 'creation';
  const order = inRole ? BY_ROLE : orderedBy(by);
  const from: Sql[] = after ? [[`(${order.key}, ${order.id}) ${direction === 'asc' ? '>' : '<'} (?, ?)`, after]] : [];
  if (inRole) return { ...order, direction, from: [['ur.role_id = ?', [roleId]], ...from], conditions: [...conditions], limit };
  const members: Sql[] = roleId === undefined ? [] : [['u.id in (select user_id from user_roles where role_id = ?)', [roleId]]];
  return { ...order, direction, from, conditions: [...members, ...conditions], limit };
}

type Order = Pick<PageSql, 'source' | 'withProfiles' | 'key' | 'id'>;

const PROFILES = 'join profiles p on p.user_id = u.id';
const USERS = 'users u';
const MEMBERS = 'user_roles ur join users u on u.id = ur.user_id';
const USERS_WITH_PROFILES = `${USERS} ${PROFILES}`;

/** An index has the users of a role in order of creation. */
const BY_ROLE: Order = { source: MEMBERS, withProfiles: `${MEMBERS} ${PROFILES}`, key: 'ur.user_created_at', id: 'ur.user_id' };

function orderedBy(by: ListOrder['by']): Order {
  const [source, id] = by === 'full_name' ? [USERS_WITH_PROFILES, 'p.user_id'] : [USERS, 'u.id'];
  return { source, withProfiles: USERS_WITH_PROFILES, key: SORT_KEYS[by], id };
}

/** Asked for apart: for a role that it knows, PostgreSQL knows as well how many have it, and plans accordingly. */
async function findRoleId(em: EntityManager, name: string): Promise<string | null> {
  const [role] = await em.execute<{ id: string }[]>('select id from roles where name = ?', [name]);
  return role?.id ?? null;
}

function* conditions({ query, active, emailVerified, locked }: UserFilter, now: Date): Generator<Sql> {
  if (query !== undefined) {
    // Not the bare column, where the index would be read from end to end, and then the table as well.
    const text = isIndexed(query) ? 'u.search_text' : `(u.search_text || '')`;
    yield [`${text} like lower(?)`, [`%${query.replace(/[\\%_]/g, '\\$&')}%`]];
  }
  if (active !== undefined) yield ['u.is_active = ?', [active]];
  if (emailVerified !== undefined) yield [`u.email_verified_at is ${emailVerified ? 'not null' : 'null'}`, []];
  if (locked === true) yield ['u.locked_until > ?', [now]];
  if (locked === false) yield ['(u.locked_until is null or u.locked_until <= ?)', [now]];
}

/** The index is one of trigrams. */
function isIndexed(query: string): boolean {
  return [...query].length >= 3;
}

function inOrder({ withProfiles, key, id, direction, from, conditions, limit }: PageSql): Sql {
  const [where, values] = all([...from, ...conditions]);
  return [
    `select ${key}::text as key, ${USER_VIEW} from ${withProfiles} where ${where}
     order by ${key} ${direction}, ${id} ${direction} limit ${limit}`,
    values,
  ];
}

/** So many users are read for each one of a page before the index is asked; more where there is none to ask, but the whole table. */
const READ_AHEAD = 20;
const READ_AHEAD_BY_CHARACTER = 500;

/**
 * A text that somebody searches for is either common, and then a page of it is soon found in order; or it is not, and
 * then the index knows the few places. PostgreSQL can only guess which, and a wrong guess reads the whole table. So the
 * first is tried within bounds, and the second is not begun where that has filled the page. `materialized` keeps
 * PostgreSQL from going through all users in order there instead.
 */
function searched({ source, key, id, direction, from, conditions, limit }: PageSql, readAhead: number): Sql {
  const [start, beginning] = all(from);
  const [where, values] = all(conditions);
  const atTheTop = `order by key ${direction}, id ${direction} limit ${limit}`;
  const isFull = `(select count(*) from near) = ${limit}`;
  return [
    `with near as materialized (
       select id, key from (
         select u.*, ${key} as key from ${source} where ${start} order by ${key} ${direction}, ${id} ${direction} limit ${readAhead}
       ) u where ${where} ${atTheTop}
     ),
     found as materialized (select u.id, ${key} as key from ${source} where ${start} and ${where}),
     page as (select id, key from near where ${isFull} union all select id, key from found where not ${isFull} ${atTheTop})
     select page.key::text as key, ${USER_VIEW} from page join users u on u.id = page.id ${PROFILES}
     order by page.key ${direction}, page.id ${direction}`,
    [...beginning, ...values, ...beginning, ...values],
  ];
}

function all(conditions: readonly Sql[]): Sql {
  return [conditions.map(([text]) => text).join(' and ') || 'true', conditions.flatMap(([, values]) => values)];
}

async function findUsers(em: EntityManager, [sql, values]: Sql): Promise<ListedUser[]> {
  const rows = await em.execute<(UserView & { readonly key: string })[]>(sql, [...values]);
  return rows.map((row) => ({ user: row, sortKey: row.key }));
}
