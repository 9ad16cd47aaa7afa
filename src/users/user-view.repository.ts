import { listOf, type PreparedStatements } from '../database/prepared.ts';
import { roleNamesOf } from './user.entity.ts';
import type { UserView } from './user-view.ts';

/** A UserView but for its roles, as columns of `users u` and `profiles p`. */
const COLUMNS = `
    u.id, u.email, u.email_verified_at is not null as "emailVerified", u.username, u.is_active as active,
    u.password_hash is not null as "hasPassword", p.first_name as "firstName", p.last_name as "lastName",
    p.full_name as "fullName", p.bio, p.birth_date::text as "birthDate", p.avatar_url as "avatarUrl", p.phone`;

/** The same with the roles. */
export const USER_VIEW = `${COLUMNS}, ${roleNamesOf('u.id')} as roles`;

type Text = string | null;

/** The columns of FIND. */
type Cells = [
  id: string,
  email: string,
  emailVerified: boolean,
  username: Text,
  active: boolean,
  hasPassword: boolean,
  firstName: string,
  lastName: Text,
  fullName: string,
  bio: Text,
  birthDate: Text,
  avatarUrl: Text,
  phone: Text,
  role: Text,
];

/** A row for each role of each user, and one for a user without: a subquery for the roles of each user costs as much as all the rest. */
const FIND = {
  name: 'users.find-views',
  text: `
    select ${COLUMNS}, r.name as role
    from unnest(${listOf('uuid')}) as given (id) join users u on u.id = given.id join profiles p on p.user_id = u.id
      left join (user_roles ur join roles r on r.id = ur.role_id) on ur.user_id = u.id
    order by r.name`,
};

/** Those who have the ids, by id. In one query. */
export async function findUserViews(db: PreparedStatements, ids: readonly string[]): Promise<ReadonlyMap<string, UserView>> {
  const rows = await db.runForCells<Cells>(FIND, [`{${[...new Set(ids)].join(',')}}`]);
  const found = new Map<string, UserView>();
  for (const cells of rows) {
    const view = toView(cells);
    const before = found.get(view.id);
    if (before) before.roles.push(...view.roles);
    else found.set(view.id, view);
  }
  return found;
}

function toView(cells: Cells): UserView {
  const [id, email, emailVerified, username, active, hasPassword, firstName, lastName, fullName, bio, birthDate, avatarUrl, phone, role] =
    cells;
  const roles = role === null ? [] : [role];
  return {
    id,
    email,
    emailVerified,
    username,
    active,
    hasPassword,
    roles,
    firstName,
    lastName,
    fullName,
    bio,
    birthDate,
    avatarUrl,
    phone,
  };
}
