import { Migration } from '@mikro-orm/migrations';

/**
 * Nullable columns: no row is rewritten, and the tables are locked for a moment. Writes to `api_keys` wait while the index is built, which reads
 * the table once and has no entries yet.
 */
export class Migration20261128000017_fresh_sign_in extends Migration {
  override up(): void {
    this.addSql(`alter table "sessions" add column "client_id" uuid null, add column "reauthenticated_at" timestamptz(3) null`);
    this.addSql(`alter table "api_keys" add column "parent_id" uuid null`);
    this.addSql(`create index "api_keys_parent_id_idx" on "api_keys" ("parent_id") where parent_id is not null`);
  }

  override down(): void {
    this.addSql(`drop index "api_keys_parent_id_idx"`);
    this.addSql(`alter table "api_keys" drop column "parent_id"`);
    this.addSql(`alter table "sessions" drop column "client_id", drop column "reauthenticated_at"`);
  }
}
