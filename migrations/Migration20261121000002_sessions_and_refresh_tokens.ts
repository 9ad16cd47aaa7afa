import { Migration } from '@mikro-orm/migrations';

export class Migration20261121000002_sessions_and_refresh_tokens extends Migration {
  override up(): void {
    this.addSql(`create table "sessions" (
      "id" uuid not null default gen_random_uuid(),
      "user_id" uuid not null,
      "ip_address" varchar(45) null,
      "user_agent" varchar(1024) null,
      "device_name" varchar(100) null,
      "auth_methods" text[] not null,
      "created_at" timestamptz(3) not null,
      "last_active_at" timestamptz(3) not null,
      "expires_at" timestamptz(3) not null,
      "revoked_at" timestamptz(3) null,
      "refresh_hash" bytea not null,
      "previous_refresh_hash" bytea null,
      "refresh_salt" bytea null,
      "refreshed_at" timestamptz(3) null,
      primary key ("id"),
      constraint "sessions_user_id_fkey" foreign key ("user_id") references "users" ("id") on update no action on delete cascade
    )`);
    this.addSql(`create index "sessions_user_id_idx" on "sessions" ("user_id")`);
    this.addSql(`create index "sessions_expires_at_idx" on "sessions" ("expires_at")`);

    this.addSql(`create table "refresh_tokens" (
      "token_hash" bytea not null,
      "session_id" uuid not null,
      "created_at" timestamptz(3) not null,
      primary key ("token_hash"),
      constraint "refresh_tokens_session_id_fkey" foreign key ("session_id") references "sessions" ("id") on update no action on delete cascade
    )`);
    this.addSql(`create index "refresh_tokens_session_id_idx" on "refresh_tokens" ("session_id")`);
  }

  override down(): void {
    this.addSql(`drop table "refresh_tokens"`);
    this.addSql(`drop table "sessions"`);
  }
}
