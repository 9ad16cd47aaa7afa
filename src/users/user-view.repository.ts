import type { Pool } from 'pg';
import { IDS, runPrepared } from '../database/prepared.ts';
import { roleNamesOf } from './role-names.ts';
import type { UserView } from './user-view.ts';

/** A UserView, as columns of `users u` and `profiles p`. */
export const USER_VIEW = `
    u.id, u.email, u.email_verified_at is not null as "emailVerified", u.username, u.is_active as active,
    u.password_hash is not null as "hasPassword", ${roleNamesOf('u.id')} as roles, p.first_name as "firstName", p.last_name as "lastName",
    p.full_name as "fullName", p.bio, p.birth_date::text as "birthDate", p.avatar_url as "avatarUrl", p.phone`;

/** A row for each id, in their order. */
const FIND = {
  name: 'users.find-views',
  text: `
    select ${USER_VIEW} from unnest(${IDS}) with ordinality as given (id, number)
      left join (users u join profiles p on p.user_id = u.id) on u.id = given.id
    order by given.number`,
};

/** Who has each of the ids, if anybody. In one query. */
export async function findUserViews(pool: Pool, ids: readonly string[]): Promise<(UserView | undefined)[]> {
  const rows = await runPrepared<UserView | { readonly id: null }>(pool, FIND, [`{${ids.join(',')}}`]);
  return rows.map((row) => (row.id === null ? undefined : row));
}
