import { z } from 'zod';
import type { Call } from '../../call/call.ts';
import type { ServiceAccount } from './service-account.entity.ts';
import { findServiceAccounts } from './service-account.repository.ts';

export const listServiceAccountsInput = z.custom<object>();

export function listServiceAccounts(call: Call): Promise<ServiceAccount[]> {
  return findServiceAccounts(call.em);
}
