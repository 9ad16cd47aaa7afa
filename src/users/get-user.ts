import { z } from 'zod';
import type { Call } from '../rpc/call.ts';
import { uuid } from '../rpc/validation.ts';
import type { User } from './user.entity.ts';
import { userNotFound } from './user.errors.ts';
import { findUser } from './user.repository.ts';

export const getUserInput = z.object({ userId: uuid });

export async function getUser(call: Call, { userId }: z.output<typeof getUserInput>): Promise<User> {
  const user = await findUser(call.em, userId);
  if (!user) throw userNotFound();
  return user;
}
