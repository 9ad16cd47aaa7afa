import { Migration } from '@mikro-orm/migrations';

export class Migration20261121000004_audit_events extends Migration {
  override up(): void {
    this.addSql(`create table "audit_events" (
      "id" uuid not null default gen_random_uuid(),
      "type" varchar(100) not null,
      "user_id" uuid null,
      "actor" varchar(200) not null,
      "ip_address" varchar(45) null,
      "user_agent" varchar(1024) null,
      "device_name" varchar(100) null,
      "occurred_at" timestamptz(3) not null,
      "metadata" jsonb not null default '{}'::jsonb,
      primary key ("id"),
      constraint "audit_events_user_id_fkey" foreign key ("user_id") references "users" ("id") on update no action on delete set null
    )`);
    this.addSql(`create index "audit_events_user_id_occurred_at_idx" on "audit_events" ("user_id", "occurred_at")`);
    this.addSql(`create index "audit_events_actor_idx" on "audit_events" ("actor")`);
    this.addSql(`create index "audit_events_occurred_at_id_idx" on "audit_events" ("occurred_at", "id")`);
  }

  override down(): void {
    this.addSql(`drop table "audit_events"`);
  }
}
