import type { EntityManager } from '@mikro-orm/postgresql';
import { searchTextOf } from './search-text.repository.ts';
import type { ProfileInput } from './user-fields.ts';

/** A user to be inserted. */
export interface UserRow {
  readonly id: string;
  readonly email: string;
  readonly username: string | null;
  /** Of the profile that is inserted next. */
  readonly fullName: string;
  readonly passwordHash: string | null;
  readonly emailVerifiedAt: Date | null;
  readonly active: boolean;
  readonly requestId: string | null;
}

/** The fields that are unique to a user. */
export type UserKeys = Pick<UserRow, 'id' | 'email' | 'username' | 'requestId'>;

/**
 * Inserts the users that collide with nobody, and returns the ids of those. If somebody else is inserting the same user
 * just now, it waits for the end of that. It goes in order of email, so that two that insert the same users do not wait
 * for each other.
 */
export async function insertUsers(em: EntityManager, rows: readonly UserRow[]): Promise<ReadonlySet<string>> {
  const inserted = await em.execute<{ id: string }[]>(
    `insert into users (id, email, username, search_text, password_hash, email_verified_at, is_active, request_id)
     select id, email, username, ${searchTextOf('email', 'username', '"fullName"')}, "passwordHash", "emailVerifiedAt", active, "requestId"
     from json_to_recordset(?) as given (id uuid, email text, username text, "fullName" text, "passwordHash" text,
       "emailVerifiedAt" timestamptz, active boolean, "requestId" uuid)
     order by email
     on conflict do nothing returning id`,
    [JSON.stringify(rows)],
  );
  return new Set(inserted.map(({ id }) => id));
}

/** The users who have an email, a username or a request id of these. */
export async function findUsersByKeys(em: EntityManager, keys: readonly UserKeys[]): Promise<UserKeys[]> {
  const given = JSON.stringify(keys.map(({ email, username, requestId }) => ({ email, username, requestId })));
  return em.execute<UserKeys[]>(
    `with given as materialized (select * from json_to_recordset(?) as g (email text, username text, "requestId" uuid)),
       found as (
         select users.id from users join given on users.email = given.email
         union select users.id from users join given on users.username = given.username
         union select users.id from users join given on users.request_id = given."requestId"
       )
     select id, email, username, request_id as "requestId" from users where id in (select id from found)`,
    [given],
  );
}

export async function insertProfiles(em: EntityManager, profiles: readonly (ProfileInput & { readonly userId: string })[]): Promise<void> {
  await em.execute(
    `insert into profiles (user_id, first_name, last_name, full_name, bio, birth_date, avatar_url, phone)
     select "userId", "firstName", "lastName", "fullName", bio, "birthDate", "avatarUrl", phone
     from json_to_recordset(?) as given ("userId" uuid, "firstName" text, "lastName" text, "fullName" text, bio text, "birthDate" date,
       "avatarUrl" text, phone text)`,
    [JSON.stringify(profiles)],
  );
}
