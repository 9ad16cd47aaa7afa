import { defineEntity, p } from '@mikro-orm/postgresql';
import { strongEtag } from '../../call/etag.ts';
import { id, insertedAt } from '../../database/columns.ts';
import { bumpEpoch } from '../../events/authorization-epoch.entity.ts';
import { RolePermission } from './role-permission.entity.ts';

const RoleSchema = defineEntity({
  name: 'Role',
  tableName: 'roles',
  properties: {
    id: id(),
    name: p.string().length(64).unique('roles_name_key'),
    description: p.string().length(500).default(''),
    builtIn: p.boolean().default(false),
    createdAt: insertedAt(),
    permissions: () => p.oneToMany(RolePermission).mappedBy('role').orphanRemoval(),
  },
  triggers: [bumpEpoch('roles_epoch', ['update', 'delete'])],
});

/** A named set of permissions. */
export class Role extends RoleSchema.class {
  /** Sorted; the permissions must be loaded. */
  permissionNames(): string[] {
    return this.permissions
      .getItems()
      .map(({ permission }) => permission)
      .sort();
  }

  /** A strong validator (AIP-154) over all that the API shows of the role; the permissions must be loaded. */
  etag(): string {
    return strongEtag([this.id, this.name, this.description, this.permissionNames()]);
  }
}
RoleSchema.setClass(Role);
