import { Migration } from '@mikro-orm/migrations';

/** Lists the users of a role in their order without looking at all of them: when a user was created never changes, so it is kept here, too. */
export class Migration20261121000010_users_by_role extends Migration {
  override up(): void {
    this.addSql(`alter table "user_roles" add column "user_created_at" timestamptz(3) null default now()`);
    // Nobody's rights change.
    this.addSql(`alter table "user_roles" disable trigger "user_roles_epoch"`);
    this.addSql(`update "user_roles" set "user_created_at" = "users"."created_at" from "users" where "users"."id" = "user_id"`);
    this.addSql(`alter table "user_roles" enable trigger "user_roles_epoch"`);
    this.addSql(`alter table "user_roles" alter column "user_created_at" set not null`);
    this.addSql(
      `create function "user_roles_user_roles_created_at_fn"() returns trigger as $$ begin NEW.user_created_at := (select created_at from users where id = NEW.user_id); RETURN NEW; end; $$ language plpgsql`,
    );
    this.addSql(`create trigger "user_roles_created_at" before insert on "user_roles" for each row
      execute function "user_roles_user_roles_created_at_fn"()`);
    this.addSql(`create index "user_roles_in_order_idx" on "user_roles" ("role_id", "user_created_at", "user_id")`);
    this.addSql(`drop index "user_roles_role_id_idx"`);
  }

  override down(): void {
    this.addSql(`create index "user_roles_role_id_idx" on "user_roles" ("role_id")`);
    this.addSql(`drop index "user_roles_in_order_idx"`);
    this.addSql(`drop trigger "user_roles_created_at" on "user_roles"`);
    this.addSql(`drop function "user_roles_user_roles_created_at_fn"()`);
    this.addSql(`alter table "user_roles" drop column "user_created_at"`);
  }
}
