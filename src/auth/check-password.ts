import { z } from 'zod';
import { isSelf, permissionDenied } from '../call/authorize.ts';
import type { Call } from '../call/call.ts';
import { NO_CLIENT, vouchedClient } from '../call/client.ts';
import { emptyAsAbsent, uuid } from '../call/validation.ts';
import type { LimitCredentials } from '../rate-limits/rate-limits.ts';
import type { User } from '../users/user.entity.ts';
import { userNotFound } from '../users/user.errors.ts';
import { findUser } from '../users/user.repository.ts';
import type { PersonalData, Refusal } from './passwords/password-policy.ts';
import { type Passwords, personalData } from './passwords/passwords.ts';

/** The permission to be told about the passwords of others. */
const WRITE = 'identity.passwords.write';

interface Names {
  readonly firstName?: string | undefined;
  readonly lastName?: string | undefined;
  readonly fullName?: string | undefined;
}

/** Loose on purpose: a form asks while it is being filled in. */
export const checkPasswordInput = z.object({
  password: z.string().min(1, 'is required'),
  email: z.string(),
  username: z.string(),
  profile: z.custom<Names | undefined>(),
  userId: emptyAsAbsent(uuid),
});

type CheckPasswordInput = z.output<typeof checkPasswordInput>;

export interface CheckPasswordDeps {
  readonly passwords: Passwords;
  readonly limitCredentials: LimitCredentials;
}

/** The rules that a password would break; none where it could be set. */
export async function checkPassword(call: Call, deps: CheckPasswordDeps, input: CheckPasswordInput): Promise<Refusal[]> {
  const { password, userId } = input;
  if (userId === undefined) return deps.passwords.refusals(call, { password, about: [given(input)] });
  const user = await requireUser(call, userId);
  const about = [given(input), personalData(user)];
  // The current password is among the latest ones: with a stolen token, one could guess it here, past the lockout.
  if (!call.caller.permissions.has(WRITE)) return deps.passwords.refusals(call, { password, about });
  await deps.limitCredentials(call, { rpc: 'CheckPassword', client: vouchedClient(call, NO_CLIENT), identifier: userId });
  return deps.passwords.refusals(call, { password, about, userId });
}

async function requireUser({ caller, em }: Call, userId: string): Promise<User> {
  if (!caller.permissions.has(WRITE) && !isSelf(caller, userId)) throw permissionDenied(WRITE);
  const user = await findUser(em, userId);
  if (!user) throw userNotFound();
  return user;
}

function given({ email, username, profile }: CheckPasswordInput): PersonalData {
  const { firstName = '', lastName = '', fullName = '' } = profile ?? {};
  return { email, username, names: [firstName, lastName, fullName] };
}
