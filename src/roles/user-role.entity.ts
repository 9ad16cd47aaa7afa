import { defineEntity, p } from '@mikro-orm/postgresql';
import { bumpEpoch } from '../database/epoch.ts';
import { User } from '../users/user.entity.ts';
import { Role } from './role.entity.ts';

const UserRoleSchema = defineEntity({
  name: 'UserRole',
  tableName: 'user_roles',
  properties: {
    user: () => p.manyToOne(User).primary().deleteRule('cascade').updateRule('no action').foreignKeyName('user_roles_user_id_fkey'),
    role: () => p.manyToOne(Role).primary().deleteRule('cascade').updateRule('no action').foreignKeyName('user_roles_role_id_fkey'),
  },
  indexes: [{ name: 'user_roles_role_id_idx', properties: ['role'] }],
  triggers: [bumpEpoch('user_roles_epoch', ['insert', 'update', 'delete'])],
});

/** A role that a user has. */
export class UserRole extends UserRoleSchema.class {}
UserRoleSchema.setClass(UserRole);
