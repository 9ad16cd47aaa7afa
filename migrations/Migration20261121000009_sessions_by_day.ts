import { Migration } from '@mikro-orm/migrations';

/** A refresh changes no indexed column any more, and finds room on the page of its row (heap-only tuples): it writes no index of sessions. */
export class Migration20261121000009_sessions_by_day extends Migration {
  override up(): void {
    this.addSql(
      `alter table "sessions" add column "expires_on" date not null generated always as (((expires_at at time zone 'UTC')::date)) stored`,
    );
    this.addSql(`create index "sessions_expires_on_idx" on "sessions" ("expires_on")`);
    this.addSql(`drop index "sessions_expires_at_idx"`);
    this.addSql(`alter table "sessions" set (fillfactor = 80)`);
  }

  override down(): void {
    this.addSql(`alter table "sessions" reset (fillfactor)`);
    this.addSql(`create index "sessions_expires_at_idx" on "sessions" ("expires_at")`);
    this.addSql(`drop index "sessions_expires_on_idx"`);
    this.addSql(`alter table "sessions" drop column "expires_on"`);
  }
}
