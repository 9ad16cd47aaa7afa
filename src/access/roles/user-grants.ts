import { roleNamesOf } from '../../users/user.entity.ts';
import { PERMISSIONS_OF_USER } from './role.repository.ts';

/** The roles and permissions of a user. */
export interface UserGrants {
  /** Names, sorted. */
  readonly roles: string[];
  /** The permissions of these roles. */
  readonly permissions: string[];
}

/** These, as columns of a query on `users`. */
export const GRANTS_OF_USER = `${roleNamesOf('users.id')} as roles, ${PERMISSIONS_OF_USER} as permissions`;
