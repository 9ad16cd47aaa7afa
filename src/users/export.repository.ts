import type { EntityManager } from '@mikro-orm/postgresql';
import { roleNamesOf, User } from './user.entity.ts';

/** The nil UUID, which nobody has. */
const BEFORE_ALL = '00000000-0000-0000-0000-000000000000';

/** A user as ImportUsersRequest has it, in snake_case; what is absent is left out. */
export type ExportedUser = Readonly<Record<string, unknown>>;

export function countUsers(em: EntityManager): Promise<number> {
  return em.count(User, {});
}

/** Users in order of their ids, from after the given one, with the hashes of their passwords. */
export function findUsersToExport(
  em: EntityManager,
  after: string | undefined,
  limit: number,
): Promise<{ id: string; user: ExportedUser }[]> {
  return em.execute(
    `select u.id, json_strip_nulls(json_build_object(
       'request_id', u.request_id,
       'email', u.email,
       'username', u.username,
       'profile', json_build_object('first_name', p.first_name, 'last_name', p.last_name, 'full_name', p.full_name, 'bio', p.bio,
         'birth_date', p.birth_date, 'avatar_url', p.avatar_url, 'phone', p.phone),
       'roles', ${roleNamesOf('u.id')},
       'email_verified', u.email_verified_at is not null,
       'password_hash', u.password_hash,
       'deactivated', not u.is_active
     )) as user
     from users u join profiles p on p.user_id = u.id
     where u.id > ? order by u.id limit ?`,
    [after ?? BEFORE_ALL, limit],
  );
}
