import { z } from 'zod';
import type { Call } from '../../call/call.ts';
import { userNotFound } from '../../users/user.errors.ts';
import { findUser } from '../../users/user.repository.ts';
import { hasOneSubject, oneSubject, subjectFields } from '../roles/subject.ts';
import { serviceAccountNotFound } from '../service-accounts/service-account.errors.ts';
import { findServiceAccount } from '../service-accounts/service-account.repository.ts';
import type { ApiKey } from './api-key.entity.ts';
import { findApiKeysOf } from './api-key.repository.ts';

export const listApiKeysInput = z.object(subjectFields).refine(hasOneSubject, oneSubject('owner'));

export async function listApiKeys({ em }: Call, owner: z.output<typeof listApiKeysInput>): Promise<ApiKey[]> {
  if (owner.userId !== undefined && !(await findUser(em, owner.userId))) throw userNotFound();
  if (owner.serviceAccountId !== undefined && !(await findServiceAccount(em, owner.serviceAccountId))) throw serviceAccountNotFound();
  return findApiKeysOf(em, owner);
}
