import type { Role as RoleMessage } from '../../gen/identity/v1/role.ts';
import type { Role } from './role.entity.ts';

export function toRoleMessage(role: Role): RoleMessage {
  return {
    name: role.name,
    description: role.description,
    permissions: role.permissionNames(),
    builtIn: role.builtIn,
    etag: role.etag(),
  };
}
