import { Migration } from '@mikro-orm/migrations';

/**
 * Several tokens of a user and purpose live beside each other, and counters know what they have counted. The table of tokens holds a day of mails
 * and is indexed in a moment; `rate_limits` gets an empty column. A replica of the version before serves on, but queues no mails: its upsert needs
 * the constraint. What it is asked for is mailed as soon as the first replica of this version runs, which reads the same events.
 */
export class Migration20261128000013_recovery extends Migration {
  override up(): void {
    this.addSql(`alter table "one_time_tokens" drop constraint "one_time_tokens_user_id_purpose_key"`);
    this.addSql(`create index "one_time_tokens_user_id_purpose_idx" on "one_time_tokens" ("user_id", "purpose")`);
    this.addSql(`alter table "rate_limits" add column "subjects" text[] null`);
  }

  override down(): void {
    this.addSql(`alter table "rate_limits" drop column "subjects"`);
    this.addSql(`drop index "one_time_tokens_user_id_purpose_idx"`);
    // The newest of each stays, as the release before knows it.
    this.addSql(`delete from "one_time_tokens" using "one_time_tokens" as newer
      where newer.user_id = "one_time_tokens".user_id and newer.purpose = "one_time_tokens".purpose
        and (newer.created_at, newer.id) > ("one_time_tokens".created_at, "one_time_tokens".id)`);
    this.addSql(`alter table "one_time_tokens" add constraint "one_time_tokens_user_id_purpose_key" unique ("user_id", "purpose")`);
  }
}
