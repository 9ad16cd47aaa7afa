import { randomUUID } from 'node:crypto';
import { required } from './builders.ts';
import type { TestService } from './service.ts';

/** A name that no other test uses, good for roles and for service accounts. */
export const newName = () => `n${randomUUID()}`;

/** A program that may call, with a key of it. */
export interface Program {
  readonly id: string;
  readonly name: string;
  readonly key: string;
}

/** A new role that permits this. */
export async function roleWith({ roles }: TestService, permissions: string[]): Promise<string> {
  const { role } = await roles.createRole({ role: { name: newName(), permissions } });
  return required(role).name;
}

/** A service account with these roles. */
export async function programInRoles(service: TestService, roles: string[]): Promise<Program> {
  const { serviceAccount } = await service.serviceAccounts.createServiceAccount({ name: newName(), roles });
  const { id, name } = required(serviceAccount);
  return { id, name, key: await keyOf(service, { serviceAccountId: id }) };
}

/** A service account that may do exactly this. */
export async function programWith(service: TestService, permissions: string[]): Promise<Program> {
  return programInRoles(service, [await roleWith(service, permissions)]);
}

export async function keyOf({ apiKeys }: TestService, owner: { userId?: string; serviceAccountId?: string }, scopes: string[] = []) {
  const { key } = await apiKeys.createApiKey({ ...owner, name: 'test', scopes });
  return key;
}
