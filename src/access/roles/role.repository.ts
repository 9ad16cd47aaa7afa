import { type EntityManager, LockMode } from '@mikro-orm/postgresql';
import type { PersonalData } from '../../users/personal-data.ts';
import { Role } from './role.entity.ts';
import { ServiceAccountRole } from './service-account-role.entity.ts';
import type { Subject } from './subject.ts';
import { UserRole } from './user-role.entity.ts';

const WITH_PERMISSIONS = { populate: ['permissions'] } as const;

export function findRole(em: EntityManager, name: string): Promise<Role | null> {
  return em.findOne(Role, { name }, WITH_PERMISSIONS);
}

/** By name, from after the given one. */
export function findRoles(em: EntityManager, after: string | undefined, limit: number): Promise<Role[]> {
  const where = after === undefined ? {} : { name: { $gt: after } };
  return em.find(Role, where, { ...WITH_PERMISSIONS, strategy: 'select-in', orderBy: { name: 'asc' }, limit });
}

export function findRolesByName(em: EntityManager, names: readonly string[]): Promise<Role[]> {
  return em.find(Role, { name: { $in: [...names] } }, WITH_PERMISSIONS);
}

/** Nobody else changes the role, or who has it, until the transaction ends. */
export function lockRole(em: EntityManager, name: string): Promise<Role | null> {
  return em.findOne(Role, { name }, { ...WITH_PERMISSIONS, strategy: 'select-in', lockMode: LockMode.PESSIMISTIC_WRITE });
}

/** Assigns a role; does nothing where it is assigned. */
export async function assignToUser(em: EntityManager, userId: string, role: Role): Promise<boolean> {
  if (await em.findOne(UserRole, { user: userId, role })) return false;
  em.create(UserRole, { user: userId, role });
  return true;
}

export async function assignToServiceAccount(em: EntityManager, serviceAccountId: string, role: Role): Promise<boolean> {
  if (await em.findOne(ServiceAccountRole, { serviceAccount: serviceAccountId, role })) return false;
  em.create(ServiceAccountRole, { serviceAccount: serviceAccountId, role });
  return true;
}

export async function unassignFromUser(em: EntityManager, userId: string, role: Role): Promise<boolean> {
  return (await em.nativeDelete(UserRole, { user: userId, role })) > 0;
}

export async function unassignFromServiceAccount(em: EntityManager, serviceAccountId: string, role: Role): Promise<boolean> {
  return (await em.nativeDelete(ServiceAccountRole, { serviceAccount: serviceAccountId, role })) > 0;
}

/** As a part of a query on `users`. */
export const PERMISSIONS_OF_USER =
  'array(select distinct permission::text from user_roles join role_permissions using (role_id) where user_id = users.id)';

/** As a part of a query on `service_accounts`. */
export const PERMISSIONS_OF_SERVICE_ACCOUNT =
  'array(select distinct permission::text from service_account_roles join role_permissions using (role_id) where service_account_id = service_accounts.id)';

/**
 * The permissions that an active user, or an active service account, has by its roles; null where there is no such
 * subject.
 */
export async function permissionsOfUser(em: EntityManager, userId: string): Promise<string[] | null> {
  return permissionsOf(em, `select ${PERMISSIONS_OF_USER} as permissions from users where id = ? and is_active`, userId);
}

export async function permissionsOfServiceAccount(em: EntityManager, id: string): Promise<string[] | null> {
  return permissionsOf(em, `select ${PERMISSIONS_OF_SERVICE_ACCOUNT} as permissions from service_accounts where id = ? and is_active`, id);
}

/** The permissions that a subject has by its roles, active or not: a deactivated one may come back. */
export async function permissionsGranted(em: EntityManager, { userId, serviceAccountId }: Subject): Promise<string[]> {
  const [roles, id] =
    userId === undefined ? ['service_account_roles where service_account_id', serviceAccountId] : ['user_roles where user_id', userId];
  const rows = await em.execute<{ permission: string }[]>(
    `select distinct permission::text from role_permissions where role_id in (select role_id from ${roles} = ?)`,
    [id],
  );
  return rows.map(({ permission }) => permission);
}

async function permissionsOf(em: EntityManager, sql: string, id: string): Promise<string[] | null> {
  const rows = await em.execute<{ permissions: string[] }[]>(sql, [id]);
  return rows[0]?.permissions ?? null;
}

/** The ids of the roles of these names. Nobody changes them until the transaction ends, but others may give them, too. */
export async function lockRolesToRead(em: EntityManager, names: readonly string[]): Promise<Map<string, string>> {
  const rows = await em.execute<{ id: string; name: string }[]>(
    'select id, name from roles where name in (select json_array_elements_text(?)) order by name for share',
    [JSON.stringify(names)],
  );
  return new Map(rows.map(({ id, name }) => [name, id]));
}

/**
 * The permissions of each of the roles. This is a statement of its own, after the lock: data that is read along with a
 * lock may be from before it.
 */
export async function permissionsByRole(em: EntityManager, roleIds: readonly string[]): Promise<Map<string, string[]>> {
  const rows = await em.execute<{ role_id: string; permissions: string[] }[]>(
    `select role_id, array_agg(permission::text) as permissions from role_permissions
     where role_id in (select json_array_elements_text(?)::uuid) group by role_id`,
    [JSON.stringify(roleIds)],
  );
  return new Map(rows.map(({ role_id, permissions }) => [role_id, permissions]));
}

/** In one statement. */
export async function assignRolesToUsers(em: EntityManager, given: readonly { userId: string; roleId: string }[]): Promise<void> {
  if (given.length === 0) return;
  await em.execute(
    `insert into user_roles (user_id, role_id)
     select "userId", "roleId" from json_to_recordset(?) as given ("userId" uuid, "roleId" uuid)`,
    [JSON.stringify(given)],
  );
}

/** The document of a user has the names among the fields of the user. */
export const rolePersonalData: readonly PersonalData[] = [{ kind: 'roles', erase: (em, userId) => em.count(UserRole, { user: userId }) }];
