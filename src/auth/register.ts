import type { z } from 'zod';
import { client } from '../audit/client.ts';
import type { Call } from '../rpc/call.ts';
import { type CreateUserDeps, createUser, createUserInput } from '../users/create-user.ts';
import type { User } from '../users/user.entity.ts';

export const registerInput = (deps: CreateUserDeps) => createUserInput(deps).extend({ client });

/** A person signs up: the same unit of work as CreateUser, with the device in the audit trail. */
export function register(call: Call, deps: CreateUserDeps, input: z.output<ReturnType<typeof registerInput>>): Promise<User> {
  return createUser(call, deps, input);
}
