import { z } from 'zod';
import type { Call } from '../rpc/call.ts';
import { uuid } from '../rpc/validation.ts';
import type { User } from './user.entity.ts';
import { findUsers } from './user.repository.ts';

const MAX_IDS = 1000;

export const batchGetUsersInput = z.object({
  userIds: z.array(uuid).min(1, 'must not be empty').max(MAX_IDS, `must have at most ${MAX_IDS} ids`),
});

/** The users in the order of the request, and the ids that nobody has. */
export async function batchGetUsers(
  call: Call,
  { userIds }: z.output<typeof batchGetUsersInput>,
): Promise<{ users: User[]; missing: string[] }> {
  const found = new Map((await findUsers(call.em, userIds)).map((user) => [user.id, user]));
  return {
    users: userIds.flatMap((id) => found.get(id) ?? []),
    missing: userIds.filter((id) => !found.has(id)),
  };
}
