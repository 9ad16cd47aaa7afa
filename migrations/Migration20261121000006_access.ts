import { Migration } from '@mikro-orm/migrations';

/** The triggers that begin a new epoch of authorization; see src/events/authorization-epoch.entity.ts. */
const EPOCH_TRIGGERS = [
  { table: 'roles', name: 'roles_epoch', events: 'update or delete' },
  { table: 'role_permissions', name: 'role_permissions_epoch', events: 'insert or update or delete' },
  { table: 'user_roles', name: 'user_roles_epoch', events: 'insert or update or delete' },
  { table: 'service_accounts', name: 'service_accounts_epoch', events: 'update or delete' },
  { table: 'service_account_roles', name: 'service_account_roles_epoch', events: 'insert or update or delete' },
  { table: 'api_keys', name: 'api_keys_revoked_epoch', events: 'update', when: 'OLD.revoked_at is distinct from NEW.revoked_at' },
  { table: 'api_keys', name: 'api_keys_deleted_epoch', events: 'delete' },
  { table: 'users', name: 'users_active_epoch', events: 'update', when: 'OLD.is_active is distinct from NEW.is_active' },
];

/** What comes with the service. A later version that adds permissions adds them here by a migration of its own. */
const BUILT_IN_ROLES = [
  { name: 'admin', description: 'Everything.', permissions: ['*'] },
  {
    name: 'service',
    description: 'What a backend needs that signs users up and in and checks their tokens.',
    permissions: [
      'identity.auth.login',
      'identity.auth.register',
      'identity.clients.vouch',
      'identity.passwords.write',
      'identity.roles.read',
      'identity.sessions.read',
      'identity.sessions.write',
      'identity.tokens.introspect',
      'identity.users.read',
    ],
  },
  {
    name: 'reader',
    description: 'Sees everything, changes nothing.',
    permissions: [
      'identity.api_keys.read',
      'identity.audit.read',
      'identity.roles.read',
      'identity.service_accounts.read',
      'identity.sessions.read',
      'identity.tokens.introspect',
      'identity.users.read',
    ],
  },
];

export class Migration20261121000006_access extends Migration {
  override up(): void {
    this.addSql(`create table "authorization_epoch" (
      "id" int not null,
      "version" bigint not null default '0',
      primary key ("id"),
      constraint "authorization_epoch_id_check" check (id = 1)
    )`);
    this.addSql(`insert into "authorization_epoch" ("id") values (1)`);

    this.addSql(`create table "rate_limits" (
      "key" varchar(255) not null,
      "points" int not null default 0,
      "expire" bigint null,
      primary key ("key")
    )`);

    this.addSql(`create table "roles" (
      "id" uuid not null default gen_random_uuid(),
      "name" varchar(64) not null,
      "description" varchar(500) not null default '',
      "built_in" boolean not null default false,
      "created_at" timestamptz(3) not null default now(),
      primary key ("id"),
      constraint "roles_name_key" unique ("name")
    )`);
    this.addSql(`create table "role_permissions" (
      "role_id" uuid not null,
      "permission" varchar(100) not null,
      primary key ("role_id", "permission"),
      constraint "role_permissions_role_id_fkey" foreign key ("role_id") references "roles" ("id") on update no action on delete cascade
    )`);
    this.addSql(`create table "user_roles" (
      "user_id" uuid not null,
      "role_id" uuid not null,
      primary key ("user_id", "role_id"),
      constraint "user_roles_user_id_fkey" foreign key ("user_id") references "users" ("id") on update no action on delete cascade,
      constraint "user_roles_role_id_fkey" foreign key ("role_id") references "roles" ("id") on update no action on delete cascade
    )`);
    this.addSql(`create index "user_roles_role_id_idx" on "user_roles" ("role_id")`);

    this.addSql(`create table "service_accounts" (
      "id" uuid not null default gen_random_uuid(),
      "name" varchar(64) not null,
      "description" varchar(500) not null default '',
      "is_active" boolean not null default true,
      "created_at" timestamptz(3) not null default now(),
      primary key ("id"),
      constraint "service_accounts_name_key" unique ("name")
    )`);
    this.addSql(`create table "service_account_roles" (
      "service_account_id" uuid not null,
      "role_id" uuid not null,
      primary key ("service_account_id", "role_id"),
      constraint "service_account_roles_service_account_id_fkey"
        foreign key ("service_account_id") references "service_accounts" ("id") on update no action on delete cascade,
      constraint "service_account_roles_role_id_fkey"
        foreign key ("role_id") references "roles" ("id") on update no action on delete cascade
    )`);
    this.addSql(`create index "service_account_roles_role_id_idx" on "service_account_roles" ("role_id")`);

    this.addSql(`create table "api_keys" (
      "id" uuid not null default gen_random_uuid(),
      "user_id" uuid null,
      "service_account_id" uuid null,
      "name" varchar(100) not null,
      "key_hash" bytea not null,
      "hint" varchar(16) not null,
      "scopes" text[] not null,
      "created_at" timestamptz(3) not null,
      "expires_at" timestamptz(3) null,
      "last_used_at" timestamptz(3) null,
      "revoked_at" timestamptz(3) null,
      primary key ("id"),
      constraint "api_keys_key_hash_key" unique ("key_hash"),
      constraint "api_keys_owner_check" check (num_nonnulls(user_id, service_account_id) = 1),
      constraint "api_keys_user_id_fkey" foreign key ("user_id") references "users" ("id") on update no action on delete cascade,
      constraint "api_keys_service_account_id_fkey"
        foreign key ("service_account_id") references "service_accounts" ("id") on update no action on delete cascade
    )`);
    this.addSql(`create index "api_keys_user_id_idx" on "api_keys" ("user_id")`);
    this.addSql(`create index "api_keys_service_account_id_idx" on "api_keys" ("service_account_id")`);

    for (const trigger of EPOCH_TRIGGERS) this.addEpochTrigger(trigger);
    for (const role of BUILT_IN_ROLES) this.addRole(role);
  }

  override down(): void {
    this.addSql(`drop trigger "users_active_epoch" on "users"`);
    for (const table of ['api_keys', 'service_account_roles', 'service_accounts', 'user_roles', 'role_permissions', 'roles']) {
      this.addSql(`drop table "${table}"`);
    }
    this.addSql(`drop table "rate_limits"`);
    this.addSql(`drop table "authorization_epoch"`);
    for (const { table, name } of EPOCH_TRIGGERS) this.addSql(`drop function "${table}_${name}_fn"()`);
  }

  private addEpochTrigger({ table, name, events, when }: (typeof EPOCH_TRIGGERS)[number]): void {
    const fn = `"${table}_${name}_fn"`;
    this.addSql(
      `create function ${fn}() returns trigger as $$ begin update authorization_epoch set version = pg_current_xact_id()::text::bigint where version <> pg_current_xact_id()::text::bigint; RETURN NULL; end; $$ language plpgsql`,
    );
    const condition = when === undefined ? '' : ` when (${when})`;
    this.addSql(`create trigger "${name}" after ${events} on "${table}" for each row${condition} execute function ${fn}()`);
  }

  private addRole({ name, description, permissions }: (typeof BUILT_IN_ROLES)[number]): void {
    this.addSql(`insert into "roles" ("name", "description", "built_in") values ('${name}', '${description}', true)`);
    const values = permissions.map((permission) => `('${permission}')`).join(', ');
    this.addSql(
      `insert into "role_permissions" ("role_id", "permission")
       select id, permission from "roles", (values ${values}) as given (permission) where name = '${name}'`,
    );
  }
}
