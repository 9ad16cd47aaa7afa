import type { PagingDeps } from '../../call/paging.ts';
import { RoleServiceService } from '../../gen/identity/v1/role_service.ts';
import { type Service, service } from '../../rpc/server.ts';
import { rpc } from '../../rpc/unary.ts';
import { assignRole, assignRoleInput } from './assign-role.ts';
import { checkPermission, checkPermissionInput } from './check-permission.ts';
import { createRole, createRoleInput } from './create-role.ts';
import { deleteRole, deleteRoleInput } from './delete-role.ts';
import { getRole, getRoleInput } from './get-role.ts';
import { listPermissions, listPermissionsInput } from './list-permissions.ts';
import { listRoles, listRolesInput } from './list-roles.ts';
import type { Role } from './role.entity.ts';
import { toRoleMessage } from './role.mapper.ts';
import { unassignRole, unassignRoleInput } from './unassign-role.ts';
import { updateRole, updateRoleInput } from './update-role.ts';

const withRole = async (role: Promise<Role>) => ({ role: toRoleMessage(await role) });
const nothing = (done: Promise<void>) => done.then(() => ({}));

export const roleService = (deps: PagingDeps): Service =>
  service(RoleServiceService, {
    createRole: rpc(createRoleInput, (call, input) => withRole(createRole(call, input))),
    getRole: rpc(getRoleInput, (call, input) => withRole(getRole(call, input))),
    listRoles: rpc(listRolesInput, async (call, input) => {
      const { rows, nextPageToken } = await listRoles(call, deps, input);
      return { roles: rows.map(toRoleMessage), nextPageToken };
    }),
    updateRole: rpc(updateRoleInput, (call, input) => withRole(updateRole(call, input))),
    deleteRole: rpc(deleteRoleInput, (call, input) => nothing(deleteRole(call, input))),
    assignRole: rpc(assignRoleInput, (call, input) => nothing(assignRole(call, input))),
    unassignRole: rpc(unassignRoleInput, (call, input) => nothing(unassignRole(call, input))),
    listPermissions: rpc(listPermissionsInput, () => ({ permissions: listPermissions() })),
    checkPermission: rpc(checkPermissionInput, async (call, input) => ({ allowed: await checkPermission(call, input) })),
  });
