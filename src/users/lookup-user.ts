import { z } from 'zod';
import type { Call } from '../call/call.ts';
import type { User } from './user.entity.ts';
import { userNotFound } from './user.errors.ts';
import { findUserByEmail, findUserByUsername } from './user.repository.ts';
import { hasOneIdentifier, identifierFields } from './user-fields.ts';

export const lookupUserInput = z
  .object(identifierFields)
  .refine(hasOneIdentifier, { path: ['key'], error: 'must be either an email or a username' });

export async function lookupUser(call: Call, input: z.output<typeof lookupUserInput>): Promise<User> {
  const user =
    input.email === undefined ? await findUserByUsername(call.em, input.username ?? '') : await findUserByEmail(call.em, input.email);
  if (!user) throw userNotFound();
  return user;
}
