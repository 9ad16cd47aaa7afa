import { Migration } from '@mikro-orm/migrations';

/**
 * Attempts in flight are no failures, identifiers are counted by themselves, and so are known devices. New columns with constant defaults and new
 * tables: no row is rewritten. Locks and failures of accounts stay. What was tried under identifiers that nobody has is forgotten.
 * A replica of the version before goes on, with the table that it alone uses (`unknown_logins`): a later migration drops that.
 */
export class Migration20261128000014_lockout_by_identifier_and_device extends Migration {
  override up(): void {
    this.addSql(`alter table "users" add column "consecutive_failures" int not null default 0,
      add column "attempts_in_flight" int not null default 0, add column "attempted_at" timestamptz(3) null`);

    this.addSql(`create table "attempted_identifiers" (
      "identifier_hash" bytea not null,
      "user_id" uuid null,
      "attempts_in_flight" int not null default 0,
      "failed_attempts" int not null default 0,
      "locked_until" timestamptz(3) null,
      "consecutive_failures" int not null default 0,
      "attempted_at" timestamptz(3) not null,
      primary key ("identifier_hash"),
      constraint "attempted_identifiers_user_id_fkey" foreign key ("user_id") references "users" ("id") on update no action on delete cascade
    )`);
    this.addSql(`create index "attempted_identifiers_user_id_idx" on "attempted_identifiers" ("user_id")`);
    this.addSql(`create index "attempted_identifiers_attempted_at_idx" on "attempted_identifiers" ("attempted_at")`);

    this.addSql(`create table "device_tokens" (
      "token_hash" bytea not null,
      "user_id" uuid not null,
      "created_at" timestamptz(3) not null,
      "last_used_at" timestamptz(3) not null,
      "attempts_in_flight" int not null default 0,
      "failed_attempts" int not null default 0,
      "locked_until" timestamptz(3) null,
      "consecutive_failures" int not null default 0,
      "attempted_at" timestamptz(3) null,
      primary key ("token_hash"),
      constraint "device_tokens_user_id_fkey" foreign key ("user_id") references "users" ("id") on update no action on delete cascade
    )`);
    this.addSql(`create index "device_tokens_user_id_idx" on "device_tokens" ("user_id")`);
    this.addSql(`create index "device_tokens_last_used_at_idx" on "device_tokens" ("last_used_at")`);
  }

  override down(): void {
    this.addSql(`drop table "device_tokens"`);
    this.addSql(`drop table "attempted_identifiers"`);
    this.addSql(`alter table "users" drop column "consecutive_failures", drop column "attempts_in_flight", drop column "attempted_at"`);
  }
}
