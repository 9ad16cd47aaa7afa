import { Migration } from '@mikro-orm/migrations';

export class Migration20261121000003_passwords_and_lockout extends Migration {
  override up(): void {
    this.addSql(`create table "password_history" (
      "id" uuid not null default gen_random_uuid(),
      "user_id" uuid not null,
      "password_hash" varchar(255) not null,
      "created_at" timestamptz(3) not null,
      primary key ("id"),
      constraint "password_history_user_id_fkey" foreign key ("user_id") references "users" ("id") on update no action on delete cascade
    )`);
    this.addSql(`create index "password_history_user_id_created_at_idx" on "password_history" ("user_id", "created_at")`);

    this.addSql(`create table "unknown_logins" (
      "identifier_hash" bytea not null,
      "failed_attempts" int not null default 0,
      "locked_until" timestamptz(3) null,
      "last_failed_at" timestamptz(3) not null,
      primary key ("identifier_hash")
    )`);
    this.addSql(`create index "unknown_logins_last_failed_at_idx" on "unknown_logins" ("last_failed_at")`);
  }

  override down(): void {
    this.addSql(`drop table "unknown_logins"`);
    this.addSql(`drop table "password_history"`);
  }
}
