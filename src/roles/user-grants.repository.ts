import type { Pool } from 'pg';
import { runPrepared } from '../database/prepared.ts';
import { roleNamesOf } from '../users/role-names.ts';
import { PERMISSIONS_OF_USER } from './role.repository.ts';

/** What somebody has been given. */
export interface UserGrants {
  /** Names, sorted. */
  readonly roles: string[];
  /** What these permit. */
  readonly permissions: string[];
}

const FIND = {
  name: 'roles.find-user-grants',
  text: `select
      ${roleNamesOf('users.id')} as roles,
      ${PERMISSIONS_OF_USER} as permissions
    from users where id = $1 and is_active`,
};

/** Undefined where there is no such active user. */
export async function findGrantsOfUser(pool: Pool, userId: string): Promise<UserGrants | undefined> {
  const [row] = await runPrepared<{ roles: string[]; permissions: string[] }>(pool, FIND, [userId]);
  return row;
}
