import { z } from 'zod';
import { uuid } from '../call/validation.ts';
import type { CoalescedReads } from '../concurrency/coalesced-reads.ts';
import { userNotFound } from './user.errors.ts';
import type { UserView } from './user-view.ts';

export const getUserInput = z.object({ userId: uuid });

export interface GetUserDeps {
  readonly userLookup: CoalescedReads<UserView>;
}

export async function getUser({ userLookup }: GetUserDeps, { userId }: z.output<typeof getUserInput>): Promise<UserView> {
  const user = await userLookup.get(userId);
  if (!user) throw userNotFound();
  return user;
}
