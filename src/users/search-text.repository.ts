/**
 * The text that ListUsers searches, as a part of SQL: email, username and full name in lower case, in one column,
 * because one index cannot cover two tables. Line breaks are in none of the three, so that nothing is found across
 * them. A statement that inserts a user writes it as well: a trigger that finds it right has nothing to do.
 */
export const searchTextOf = (email: string, username: string, fullName: string) =>
  `lower(concat_ws(E'\\n', ${email}, ${username}, ${fullName}))`;

const OF_USER = searchTextOf('NEW.email', 'NEW.username', '(select full_name from profiles where user_id = NEW.id)');
const OF_PROFILE = searchTextOf('email', 'username', 'NEW.full_name');

/** Triggers keep the column true for any SQL. `when` is spelled as PostgreSQL spells it back, or entities and schema would seem to differ. */
export const USER_SEARCH_TEXT = {
  name: 'users_search_text',
  timing: 'before' as const,
  events: ['update' as const],
  when: '(((old.email)::text IS DISTINCT FROM (new.email)::text) OR ((old.username)::text IS DISTINCT FROM (new.username)::text))',
  body: `NEW.search_text := ${OF_USER}; RETURN NEW`,
};

/** A user is found as soon as there is a profile, which every user has. */
export const PROFILE_SEARCH_TEXT = {
  name: 'profiles_search_text',
  timing: 'after' as const,
  events: ['insert' as const, 'update' as const],
  body: `update users set search_text = ${OF_PROFILE} where id = NEW.user_id and (TG_OP = 'UPDATE' or search_text is distinct from ${OF_PROFILE}); RETURN NULL`,
};
