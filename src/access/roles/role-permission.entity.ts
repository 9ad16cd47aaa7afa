import { defineEntity, p } from '@mikro-orm/postgresql';
import { bumpEpoch } from '../../events/authorization-epoch.entity.ts';
import { Role } from './role.entity.ts';

const RolePermissionSchema = defineEntity({
  name: 'RolePermission',
  tableName: 'role_permissions',
  properties: {
    role: () => p.manyToOne(Role).primary().deleteRule('cascade').updateRule('no action').foreignKeyName('role_permissions_role_id_fkey'),
    permission: p.string().length(100).primary(),
  },
  triggers: [bumpEpoch('role_permissions_epoch', ['insert', 'update', 'delete'])],
});

/** One permission of a role. */
export class RolePermission extends RolePermissionSchema.class {}
RolePermissionSchema.setClass(RolePermission);
