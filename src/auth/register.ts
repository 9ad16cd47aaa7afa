import type { z } from 'zod';
import type { Call } from '../call/call.ts';
import { client, vouchedClient } from '../call/client.ts';
import type { BoundRecipients } from '../rate-limits/mail-bounds.ts';
import type { LimitCredentials } from '../rate-limits/rate-limits.ts';
import { type CreateUserDeps, createUser, createUserInput } from '../users/create-user.ts';
import type { UserView } from '../users/user-view.ts';

export const registerInput = (deps: CreateUserDeps) => createUserInput(deps).safeExtend({ client });

export interface RegisterDeps extends CreateUserDeps {
  readonly limitCredentials: LimitCredentials;
  readonly boundRecipients: BoundRecipients;
}

/** A person signs up: the same unit of work as CreateUser, with the device in the audit trail. */
export async function register(call: Call, deps: RegisterDeps, input: z.output<ReturnType<typeof registerInput>>): Promise<UserView> {
  const client = vouchedClient(call, input.client);
  await deps.limitCredentials(call, { rpc: 'Register', client, identifier: input.email });
  const requestVerification = await deps.boundRecipients(call, client, input.email);
  return createUser(call, deps, { ...input, client, requestVerification });
}
