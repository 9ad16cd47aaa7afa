import { defineEntity, p } from '@mikro-orm/postgresql';
import { insertedAt } from '../../database/columns.ts';
import { bumpEpoch } from '../../events/authorization-epoch.entity.ts';
import { User } from '../../users/user.entity.ts';
import { Role } from './role.entity.ts';

const UserRoleSchema = defineEntity({
  name: 'UserRole',
  tableName: 'user_roles',
  properties: {
    user: () => p.manyToOne(User).primary().deleteRule('cascade').updateRule('no action').foreignKeyName('user_roles_user_id_fkey'),
    role: () => p.manyToOne(Role).primary().deleteRule('cascade').updateRule('no action').foreignKeyName('user_roles_role_id_fkey'),
    /** Set by the trigger: never changes, and puts the users of a role in order. */
    userCreatedAt: insertedAt(),
  },
  indexes: [{ name: 'user_roles_in_order_idx', properties: ['role', 'userCreatedAt', 'user'] }],
  triggers: [
    {
      name: 'user_roles_created_at',
      timing: 'before',
      events: ['insert'],
      body: 'NEW.user_created_at := (select created_at from users where id = NEW.user_id); RETURN NEW',
    },
    {
      // A change of the roles is a change of the user, for which users_touch moves `updated_at`.
      name: 'user_roles_touch',
      timing: 'after',
      events: ['insert', 'update', 'delete'],
      body: 'update users set is_active = is_active where id = coalesce(NEW.user_id, OLD.user_id); RETURN NULL',
    },
    bumpEpoch('user_roles_epoch', ['insert', 'update', 'delete']),
  ],
});

/** A role that a user has. */
export class UserRole extends UserRoleSchema.class {}
UserRoleSchema.setClass(UserRole);
