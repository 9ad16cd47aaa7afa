import type { PagingDeps } from '../../call/paging.ts';
import { ServiceAccountServiceService } from '../../gen/identity/v1/service_account_service.ts';
import { type Service, service } from '../../rpc/server.ts';
import { rpc } from '../../rpc/unary.ts';
import { createServiceAccount, createServiceAccountInput } from './create-service-account.ts';
import { deleteServiceAccount, deleteServiceAccountInput } from './delete-service-account.ts';
import { getServiceAccount, getServiceAccountInput } from './get-service-account.ts';
import { listServiceAccounts, listServiceAccountsInput } from './list-service-accounts.ts';
import type { ServiceAccount } from './service-account.entity.ts';
import { toServiceAccountMessage } from './service-account.mapper.ts';

const withAccount = async (account: Promise<ServiceAccount>) => ({ serviceAccount: toServiceAccountMessage(await account) });

export const serviceAccountService = (deps: PagingDeps): Service =>
  service(ServiceAccountServiceService, {
    createServiceAccount: rpc(createServiceAccountInput, (call, input) => withAccount(createServiceAccount(call, input))),
    getServiceAccount: rpc(getServiceAccountInput, (call, input) => withAccount(getServiceAccount(call, input))),
    listServiceAccounts: rpc(listServiceAccountsInput, async (call, input) => {
      const { rows, nextPageToken } = await listServiceAccounts(call, deps, input);
      return { serviceAccounts: rows.map(toServiceAccountMessage), nextPageToken };
    }),
    deleteServiceAccount: rpc(deleteServiceAccountInput, async (call, input) => {
      await deleteServiceAccount(call, input);
      return {};
    }),
  });
