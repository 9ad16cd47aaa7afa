import { Migration } from '@mikro-orm/migrations';

export class Migration20261121000007_events_mail_and_recovery extends Migration {
  override up(): void {
    this.addSql(`create table "events" (
      "position" bigserial primary key,
      "type" varchar(100) not null,
      "user_id" uuid null,
      "payload" jsonb not null default '{}'::jsonb,
      "occurred_at" timestamptz(3) not null
    )`);
    this.addSql(`create index "events_occurred_at_idx" on "events" using brin ("occurred_at")`);
    this.addSql(
      `create function "events_position_fn"() returns trigger as $$ begin perform pg_advisory_xact_lock(hashtextextended('identity.events', 0)); update events set position = nextval('events_position_seq') where position = NEW.position; RETURN NULL; end; $$ language plpgsql`,
    );
    // Deferred: it runs at the commit, so that the lock that it takes is held for no longer than the commit takes.
    this.addSql(`create constraint trigger "position" after insert on "events" deferrable initially deferred
      for each row execute function "events_position_fn"()`);

    this.addSql(`create table "event_cursors" (
      "consumer" varchar(100) not null,
      "position" bigint not null default '0',
      primary key ("consumer")
    )`);
    this.addSql(`insert into "event_cursors" ("consumer") values ('mail')`);

    this.addSql(`create table "mails" (
      "id" uuid not null default gen_random_uuid(),
      "template" varchar(50) not null,
      "user_id" uuid null,
      "data" jsonb not null default '{}'::jsonb,
      "attempts" int not null default 0,
      "next_attempt_at" timestamptz(3) not null,
      "created_at" timestamptz(3) not null,
      primary key ("id")
    )`);
    this.addSql(`create index "mails_next_attempt_at_idx" on "mails" ("next_attempt_at")`);
    this.addSql(`create index "mails_user_id_idx" on "mails" ("user_id")`);

    this.addSql(`create table "one_time_tokens" (
      "id" uuid not null default gen_random_uuid(),
      "user_id" uuid not null,
      "purpose" varchar(50) not null,
      "secret_hash" bytea not null,
      "failed_attempts" int not null default 0,
      "expires_at" timestamptz(3) not null,
      "created_at" timestamptz(3) not null,
      primary key ("id"),
      constraint "one_time_tokens_secret_hash_key" unique ("secret_hash"),
      constraint "one_time_tokens_user_id_purpose_key" unique ("user_id", "purpose")
    )`);
    this.addSql(`create index "one_time_tokens_expires_at_idx" on "one_time_tokens" ("expires_at")`);

    this.addSql(`create table "known_devices" (
      "user_id" uuid not null,
      "device_hash" bytea not null,
      "first_seen_at" timestamptz(3) not null,
      "last_seen_at" timestamptz(3) not null,
      primary key ("user_id", "device_hash"),
      constraint "known_devices_user_id_fkey" foreign key ("user_id") references "users" ("id") on update no action on delete cascade
    )`);
    this.addSql(`create index "known_devices_last_seen_at_idx" on "known_devices" ("last_seen_at")`);

    // Hashes of other systems can be longer than ours: Firebase's carry the key of the project.
    this.addSql(`alter table "users" alter column "password_hash" type varchar(512)`);
    this.addSql(`alter table "password_history" alter column "password_hash" type varchar(512)`);

    this.addSql(
      `insert into "role_permissions" ("role_id", "permission") select id, 'identity.auth.recover' from "roles" where name = 'service'`,
    );
  }

  override down(): void {
    this.addSql(`delete from "role_permissions" where permission = 'identity.auth.recover'`);
    this.addSql(`alter table "password_history" alter column "password_hash" type varchar(255)`);
    this.addSql(`alter table "users" alter column "password_hash" type varchar(255)`);
    for (const table of ['known_devices', 'one_time_tokens', 'mails', 'event_cursors', 'events']) this.addSql(`drop table "${table}"`);
    this.addSql(`drop function "events_position_fn"()`);
  }
}
