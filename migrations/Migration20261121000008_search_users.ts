import { Migration } from '@mikro-orm/migrations';

/** A role may create the extension if it may create things in the database; for another one, somebody else has to. */
const EXTENSION = `do $$ begin
  create extension if not exists pg_trgm;
exception when insufficient_privilege or feature_not_supported or undefined_file then
  raise exception 'ListUsers needs the PostgreSQL extension pg_trgm, and this role cannot create it (%). Let an administrator run "create extension pg_trgm" in this database, then run db:up again. PostgreSQL has it among its contrib modules.', sqlerrm;
end $$`;

const searchText = (email: string, username: string, fullName: string) => `lower(concat_ws(E'\\n', ${email}, ${username}, ${fullName}))`;

const OF_USER = searchText('NEW.email', 'NEW.username', '(select full_name from profiles where user_id = NEW.id)');
const OF_PROFILE = searchText('email', 'username', 'NEW.full_name');

export class Migration20261121000008_search_users extends Migration {
  override up(): void {
    this.addSql(EXTENSION);
    this.addSql(`alter table "users" add column "search_text" text null`);
    // To be found in another way is no change of a user.
    this.addSql(`alter table "users" disable trigger "users_touch"`);
    this.addSql(
      `update "users" set "search_text" = ${searchText('email', 'username', 'full_name')} from "profiles" where "user_id" = "users"."id"`,
    );
    this.addSql(`alter table "users" enable trigger "users_touch"`);
    this.addSql(`create index "users_search_text_idx" on "users" using gin ("search_text" gin_trgm_ops)`);
    this.addSql(
      `create function "users_users_search_text_fn"() returns trigger as $$ begin NEW.search_text := ${OF_USER}; RETURN NEW; end; $$ language plpgsql`,
    );
    this.addSql(`create trigger "users_search_text" before update on "users" for each row
      when (OLD.email is distinct from NEW.email or OLD.username is distinct from NEW.username)
      execute function "users_users_search_text_fn"()`);
    this.addSql(
      `create function "profiles_profiles_search_text_fn"() returns trigger as $$ begin update users set search_text = ${OF_PROFILE} where id = NEW.user_id and search_text is distinct from ${OF_PROFILE}; RETURN NULL; end; $$ language plpgsql`,
    );
    this.addSql(`create trigger "profiles_search_text" after insert or update on "profiles" for each row
      execute function "profiles_profiles_search_text_fn"()`);
  }

  /** The extension stays: others may use it. */
  override down(): void {
    this.addSql(`drop trigger "profiles_search_text" on "profiles"`);
    this.addSql(`drop trigger "users_search_text" on "users"`);
    this.addSql(`drop function "profiles_profiles_search_text_fn"()`);
    this.addSql(`drop function "users_users_search_text_fn"()`);
    this.addSql(`alter table "users" drop column "search_text"`);
  }
}
