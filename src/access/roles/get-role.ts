import { z } from 'zod';
import type { Call } from '../../call/call.ts';
import { roleName } from './create-role.ts';
import type { Role } from './role.entity.ts';
import { roleNotFound } from './role.errors.ts';
import { findRole } from './role.repository.ts';

export const getRoleInput = z.object({ name: roleName });

export async function getRole(call: Call, { name }: z.output<typeof getRoleInput>): Promise<Role> {
  const role = await findRole(call.em, name);
  if (!role) throw roleNotFound();
  return role;
}
