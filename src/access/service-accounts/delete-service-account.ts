import type { z } from 'zod';
import { record } from '../../audit/audit-log.ts';
import type { Call } from '../../call/call.ts';
import { transaction } from '../../database/transaction.ts';
import { requireGrantable } from '../roles/grants.ts';

import { permissionsGranted } from '../roles/role.repository.ts';
import { getServiceAccountInput } from './get-service-account.ts';
import { serviceAccountNotFound } from './service-account.errors.ts';
import { lockServiceAccount } from './service-account.repository.ts';

export const deleteServiceAccountInput = getServiceAccountInput;

/** Its keys go with it (foreign keys), and stop working with the next epoch. */
export function deleteServiceAccount(call: Call, input: z.output<typeof deleteServiceAccountInput>): Promise<void> {
  return transaction(call.em, async (em) => {
    const account = await lockServiceAccount(em, input.serviceAccountId);
    if (!account) throw serviceAccountNotFound();
    const permissions = await permissionsGranted(em, { serviceAccountId: account.id });
    await requireGrantable(em, call, permissions);
    em.remove(account);
    record(em, call, { type: 'service_account.deleted', metadata: { service_account_id: account.id, name: account.name } });
  });
}
