import { z } from 'zod';
import type { Call } from '../../call/call.ts';
import { type Page, type PagingDeps, pageFields, readPage } from '../../call/paging.ts';
import { userNotFound } from '../../users/user.errors.ts';
import { findUser } from '../../users/user.repository.ts';
import { hasOneSubject, oneSubject, subjectFields } from '../roles/subject.ts';
import { serviceAccountNotFound } from '../service-accounts/service-account.errors.ts';
import { findServiceAccount } from '../service-accounts/service-account.repository.ts';
import type { ApiKey } from './api-key.entity.ts';
import { findApiKeysOf } from './api-key.repository.ts';

export const listApiKeysInput = z.object({ ...subjectFields, ...pageFields }).refine(hasOneSubject, oneSubject('owner'));

/** The newest first. */
export async function listApiKeys(
  call: Call,
  deps: PagingDeps,
  { userId, serviceAccountId, ...page }: z.output<typeof listApiKeysInput>,
): Promise<Page<ApiKey>> {
  const { em } = call;
  if (userId !== undefined && !(await findUser(em, userId))) throw userNotFound();
  if (serviceAccountId !== undefined && !(await findServiceAccount(em, serviceAccountId))) throw serviceAccountNotFound();
  const owner = { userId, serviceAccountId };
  return readPage(call, deps, page, {
    rpc: 'ListApiKeys',
    filter: owner,
    cursorOf: ({ createdAt, id }) => [createdAt.toISOString(), id],
    find: (after, limit) => findApiKeysOf(em, owner, { after, limit }),
  });
}
