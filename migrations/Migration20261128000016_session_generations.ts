import { Migration } from '@mikro-orm/migrations';

/**
 * A session remembers a few rotations instead of the token before the current one, and belongs to a generation. Columns that are nullable or have a
 * constant default: no row is rewritten, and the lock on the table is held for milliseconds. Sessions and tokens from before stay good. A replica
 * of the version before goes on, with the column that it alone writes (`previous_refresh_hash`): a later migration drops that. Until it is replaced,
 * it takes a token for reused that a replica of this version has refreshed and that is presented again, and ends the session.
 */
export class Migration20261128000016_session_generations extends Migration {
  override up(): void {
    this.addSql(`create table "session_generations" (
      "number" int not null,
      "ended_at" timestamptz(3) null,
      primary key ("number")
    )`);
    this.addSql(`insert into "session_generations" ("number") values (0)`);
    this.addSql(`alter table "sessions"
      add column "generation" int not null default 0,
      add column "earlier_rotations" bytea null`);
  }

  /** Sessions that were ended all at once stay so. An answer that got lost just before cannot be had again: its token counts as used. */
  override down(): void {
    this.addSql(`update "sessions" set "revoked_at" = "ended_at" from "session_generations"
      where "number" = "generation" and "ended_at" is not null and "revoked_at" is null`);
    this.addSql(`alter table "sessions"
      drop column "generation",
      drop column "earlier_rotations"`);
    this.addSql(`drop table "session_generations"`);
  }
}
