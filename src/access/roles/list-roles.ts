import { z } from 'zod';
import type { Call } from '../../call/call.ts';
import type { Role } from './role.entity.ts';
import { findRoles } from './role.repository.ts';

export const listRolesInput = z.custom<object>();

export function listRoles(call: Call): Promise<Role[]> {
  return findRoles(call.em);
}
