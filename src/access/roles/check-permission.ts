import { z } from 'zod';
import type { Call } from '../../call/call.ts';
import { Permissions } from '../../call/permissions.ts';
import { userNotFound } from '../../users/user.errors.ts';
import { findUser } from '../../users/user.repository.ts';
import { serviceAccountNotFound } from '../service-accounts/service-account.errors.ts';
import { permissionName } from './permission-name.ts';
import { permissionsOfServiceAccount, permissionsOfUser } from './role.repository.ts';
import { hasOneSubject, oneSubject, subjectFields } from './subject.ts';

export const checkPermissionInput = z.object({ ...subjectFields, permission: permissionName }).refine(hasOneSubject, oneSubject('subject'));

/** Always from the database: the answer is about somebody else, and must not be older than the question. */
export async function checkPermission(call: Call, input: z.output<typeof checkPermissionInput>): Promise<boolean> {
  const names = input.userId === undefined ? await ofServiceAccount(call, input.serviceAccountId ?? '') : await ofUser(call, input.userId);
  return new Permissions(names).has(input.permission);
}

async function ofUser({ em }: Call, userId: string): Promise<string[]> {
  const names = await permissionsOfUser(em, userId);
  if (names) return names;
  if (!(await findUser(em, userId))) throw userNotFound();
  return [];
}

async function ofServiceAccount({ em }: Call, id: string): Promise<string[]> {
  const names = await permissionsOfServiceAccount(em, id);
  if (!names) throw serviceAccountNotFound();
  return names;
}
