import { z } from 'zod';
import type { Call } from '../../call/call.ts';
import { uuid } from '../../call/validation.ts';
import type { ServiceAccount } from './service-account.entity.ts';
import { serviceAccountNotFound } from './service-account.errors.ts';
import { findServiceAccount } from './service-account.repository.ts';

export const getServiceAccountInput = z.object({ serviceAccountId: uuid });

export async function getServiceAccount(call: Call, input: z.output<typeof getServiceAccountInput>): Promise<ServiceAccount> {
  const account = await findServiceAccount(call.em, input.serviceAccountId);
  if (!account) throw serviceAccountNotFound();
  return account;
}
