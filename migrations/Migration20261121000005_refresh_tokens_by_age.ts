import { Migration } from '@mikro-orm/migrations';

export class Migration20261121000005_refresh_tokens_by_age extends Migration {
  override up(): void {
    this.addSql(`create index "refresh_tokens_created_at_idx" on "refresh_tokens" using brin ("created_at")`);
  }

  override down(): void {
    this.addSql(`drop index "refresh_tokens_created_at_idx"`);
  }
}
