import { Migration } from '@mikro-orm/migrations';

const searchText = (email: string, username: string, fullName: string) => `lower(concat_ws(E'\\n', ${email}, ${username}, ${fullName}))`;

const OF_PROFILE = searchText('email', 'username', 'NEW.full_name');

const profileFunction = (condition: string) =>
  `create or replace function "profiles_profiles_search_text_fn"() returns trigger as $$ begin update users set search_text = ${OF_PROFILE} where id = NEW.user_id and ${condition}; RETURN NULL; end; $$ language plpgsql`;

/** A change of the profile or of the roles is a change of the user: `updated_at` moves. Functions and triggers alone, no row is rewritten. */
export class Migration20261128000012_updated_at extends Migration {
  override up(): void {
    this.addSql(profileFunction(`(TG_OP = 'UPDATE' or search_text is distinct from ${OF_PROFILE})`));
    this.addSql(
      `create function "user_roles_user_roles_touch_fn"() returns trigger as $$ begin update users set is_active = is_active where id = coalesce(NEW.user_id, OLD.user_id); RETURN NULL; end; $$ language plpgsql`,
    );
    this.addSql(`create trigger "user_roles_touch" after insert or update or delete on "user_roles" for each row
      execute function "user_roles_user_roles_touch_fn"()`);
  }

  override down(): void {
    this.addSql(`drop trigger "user_roles_touch" on "user_roles"`);
    this.addSql(`drop function "user_roles_user_roles_touch_fn"()`);
    this.addSql(profileFunction(`search_text is distinct from ${OF_PROFILE}`));
  }
}
