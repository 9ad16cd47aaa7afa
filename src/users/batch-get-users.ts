import { z } from 'zod';
import { uuid } from '../call/validation.ts';
import type { GetUserDeps } from './get-user.ts';
import type { UserView } from './user-view.ts';

const MAX_IDS = 1000;

export const batchGetUsersInput = z.object({
  userIds: z.array(uuid).min(1, 'must not be empty').max(MAX_IDS, `must have at most ${MAX_IDS} ids`),
});

/** The users in the order of the request, and the ids that nobody has. */
export async function batchGetUsers(
  { userLookup }: GetUserDeps,
  { userIds }: z.output<typeof batchGetUsersInput>,
): Promise<{ users: UserView[]; missing: string[] }> {
  const found = await userLookup.getAll(userIds);
  return {
    users: userIds.flatMap((id) => found.get(id) ?? []),
    missing: userIds.filter((id) => !found.has(id)),
  };
}
