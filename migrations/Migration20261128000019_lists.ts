import { Migration } from '@mikro-orm/migrations';

/**
 * A user's live sessions are found without a look at those that were ended, and these are found to be cleared away. Who signs in or refreshes
 * waits while the indexes are built: some two seconds for a million sessions. A refresh still writes no index (heap-only tuples).
 */
export class Migration20261128000019_lists extends Migration {
  override up(): void {
    this.addSql(`create index "sessions_user_id_revoked_at_idx" on "sessions" ("user_id", "revoked_at")`);
    this.addSql(`create index "sessions_revoked_at_idx" on "sessions" ("revoked_at") where revoked_at is not null`);
    this.addSql(`drop index "sessions_user_id_idx"`);
  }

  override down(): void {
    this.addSql(`create index "sessions_user_id_idx" on "sessions" ("user_id")`);
    this.addSql(`drop index "sessions_revoked_at_idx"`);
    this.addSql(`drop index "sessions_user_id_revoked_at_idx"`);
  }
}
