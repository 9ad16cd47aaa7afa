import { Migration } from '@mikro-orm/migrations';

export class Migration20261121000001_users_and_profiles extends Migration {
  override up(): void {
    this.addSql(`create table "users" (
      "id" uuid not null default gen_random_uuid(),
      "email" varchar(255) not null,
      "username" varchar(64) null,
      "password_hash" varchar(255) null,
      "email_verified_at" timestamptz(3) null,
      "failed_attempts" int not null default 0,
      "locked_until" timestamptz(3) null,
      "is_active" boolean not null default true,
      "request_id" uuid null,
      "created_at" timestamptz(3) not null default now(),
      "updated_at" timestamptz(3) not null default now(),
      "last_login_at" timestamptz(3) not null default now(),
      primary key ("id"),
      constraint "users_email_key" unique ("email"),
      constraint "users_username_key" unique ("username"),
      constraint "users_request_id_key" unique ("request_id"),
      constraint "users_email_check" check (email = lower(email)),
      constraint "users_username_check" check (username = lower(username)),
      constraint "users_failed_attempts_check" check (failed_attempts >= 0)
    )`);
    this.addSql(`create index "users_locked_until_idx" on "users" ("locked_until") where locked_until is not null`);
    this.addSql(`create index "users_created_at_id_idx" on "users" ("created_at", "id")`);
    this.addSql(`create index "users_username_order_idx" on "users" (coalesce("username", ''), "id")`);
    this.addSql(
      `create function "users_users_touch_fn"() returns trigger as $$ begin NEW.updated_at := clock_timestamp(); NEW.created_at := OLD.created_at; RETURN NEW; end; $$ language plpgsql`,
    );
    this.addSql(`create trigger "users_touch" before update on "users" for each row execute function "users_users_touch_fn"()`);

    this.addSql(`create table "profiles" (
      "user_id" uuid not null,
      "first_name" varchar(100) not null default '',
      "last_name" varchar(100) null,
      "full_name" varchar(200) not null default '',
      "bio" varchar(2000) null,
      "birth_date" date null,
      "avatar_url" varchar(2048) null,
      "phone" varchar(16) null,
      primary key ("user_id"),
      constraint "profiles_birth_date_check" check (birth_date <= (now() at time zone 'UTC')::date),
      constraint "profiles_user_id_fkey" foreign key ("user_id") references "users" ("id") on update no action on delete cascade
    )`);
    this.addSql(`create index "profiles_full_name_user_id_idx" on "profiles" ("full_name", "user_id")`);
  }

  override down(): void {
    this.addSql(`drop table "profiles"`);
    this.addSql(`drop table "users"`);
    this.addSql(`drop function "users_users_touch_fn"()`);
  }
}
