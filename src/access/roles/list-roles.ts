import { z } from 'zod';
import type { Call } from '../../call/call.ts';
import { type Page, type PagingDeps, pageFields, readPage } from '../../call/paging.ts';
import type { Role } from './role.entity.ts';
import { findRoles } from './role.repository.ts';

export const listRolesInput = z.object(pageFields);

/** By name. */
export function listRoles(call: Call, deps: PagingDeps, page: z.output<typeof listRolesInput>): Promise<Page<Role>> {
  return readPage(call, deps, page, {
    rpc: 'ListRoles',
    filter: undefined,
    cursorOf: ({ name, id }) => [name, id],
    find: (after, limit) => findRoles(call.em, after?.[0], limit),
  });
}
