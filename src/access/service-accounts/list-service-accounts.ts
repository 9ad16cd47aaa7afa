import { z } from 'zod';
import type { Call } from '../../call/call.ts';
import { type Page, type PagingDeps, pageFields, readPage } from '../../call/paging.ts';
import type { ServiceAccount } from './service-account.entity.ts';
import { findServiceAccounts } from './service-account.repository.ts';

export const listServiceAccountsInput = z.object(pageFields);

/** By name. */
export function listServiceAccounts(
  call: Call,
  deps: PagingDeps,
  page: z.output<typeof listServiceAccountsInput>,
): Promise<Page<ServiceAccount>> {
  return readPage(call, deps, page, {
    rpc: 'ListServiceAccounts',
    filter: undefined,
    cursorOf: ({ name, id }) => [name, id],
    find: (after, limit) => findServiceAccounts(call.em, after?.[0], limit),
  });
}
