import type { Pool } from 'pg';
import { runPrepared } from '../database/prepared.ts';
import { roleNamesOf } from './role-names.ts';
import type { UserView } from './user-view.ts';

/** What a view is made of, as columns of `users u` and `profiles p`. */
export const USER_VIEW = `
    u.id, u.email, u.email_verified_at is not null as verified, u.username, u.is_active, u.password_hash is not null as has_password,
      ${roleNamesOf('u.id')} as roles,
      p.first_name, p.last_name, p.full_name, p.bio, p.birth_date::text as birth_date, p.avatar_url, p.phone`;

const FIND = {
  name: 'users.find-views',
  text: `select ${USER_VIEW} from users u join profiles p on p.user_id = u.id where u.id = any($1::uuid[])`,
};

export interface UserViewRow {
  id: string;
  email: string;
  verified: boolean;
  username: string | null;
  is_active: boolean;
  has_password: boolean;
  roles: string[];
  first_name: string;
  last_name: string | null;
  full_name: string;
  bio: string | null;
  birth_date: string | null;
  avatar_url: string | null;
  phone: string | null;
}

/** In one query, in no order. */
export async function findUserViews(pool: Pool, ids: readonly string[]): Promise<UserView[]> {
  return (await runPrepared<UserViewRow>(pool, FIND, [`{${ids.join(',')}}`])).map(toView);
}

export function toView(row: UserViewRow): UserView {
  return {
    id: row.id,
    email: row.email,
    emailVerified: row.verified,
    username: row.username,
    active: row.is_active,
    hasPassword: row.has_password,
    roles: row.roles,
    profile: {
      firstName: row.first_name,
      lastName: row.last_name,
      fullName: row.full_name,
      bio: row.bio,
      birthDate: row.birth_date,
      avatarUrl: row.avatar_url,
      phone: row.phone,
    },
  };
}
