import { Migration } from '@mikro-orm/migrations';

/** A table that nobody has written to yet. Its reference locks `users` against writers for a moment, once those under way have ended. */
export class Migration20261128000018_email_changes extends Migration {
  override up(): void {
    this.addSql(`create table "email_changes" (
      "id" uuid not null default gen_random_uuid(),
      "user_id" uuid not null,
      "new_email" varchar(255) not null,
      "old_email" varchar(255) null,
      "confirm_hash" bytea not null,
      "revert_hash" bytea not null,
      "requested_at" timestamptz(3) not null,
      "confirmed_at" timestamptz(3) null,
      "expires_at" timestamptz(3) not null,
      primary key ("id"),
      constraint "email_changes_confirm_hash_key" unique ("confirm_hash"),
      constraint "email_changes_revert_hash_key" unique ("revert_hash"),
      constraint "email_changes_new_email_check" check (new_email = lower(new_email)),
      constraint "email_changes_confirmed_check" check ((confirmed_at is null) = (old_email is null)),
      constraint "email_changes_user_id_fkey" foreign key ("user_id") references "users" ("id") on update no action on delete cascade
    )`);
    this.addSql(`create index "email_changes_user_id_idx" on "email_changes" ("user_id")`);
    this.addSql(`create index "email_changes_expires_at_idx" on "email_changes" ("expires_at")`);
  }

  override down(): void {
    this.addSql(`drop table "email_changes"`);
  }
}
