import { z } from 'zod';
import { record } from '../audit/audit-log.ts';
import { isSelf, permissionDenied } from '../call/authorize.ts';
import type { Call } from '../call/call.ts';
import { NO_CLIENT, vouchedClient } from '../call/client.ts';
import { emptyAsAbsent, uuid } from '../call/validation.ts';
import { transaction } from '../database/transaction.ts';
import type { LimitCredentials } from '../rate-limits/rate-limits.ts';
import type { User } from '../users/user.entity.ts';
import { userNotFound } from '../users/user.errors.ts';
import { findUser } from '../users/user.repository.ts';
import type { PersonalData, Refusal } from './passwords/password-policy.ts';
import { type Passwords, personalData } from './passwords/passwords.ts';

/** The permission to ask about the passwords of others. */
const SET_PASSWORDS = 'identity.passwords.write';

/**
 * The permission to be told beside that about the latest passwords of a user, the current one among them: with nothing to stop the next guess, it is a
 * way past the lockout. Its holder could take the account over anyway; a backend that signs people in does not need it.
 */
const EDIT_USERS = 'identity.users.write';

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
  if (!call.caller.permissions.has(EDIT_USERS)) return deps.passwords.refusals(call, { password, about });
  await deps.limitCredentials(call, { rpc: 'CheckPassword', client: vouchedClient(call, NO_CLIENT), identifier: userId });
  // Before the answer: a call that is cancelled for it is in the audit trail, too.
  await transaction(call.em, async (em) => record(em, call, { type: 'user.password_checked', userId }));
  return deps.passwords.refusals(call, { password, about, userId });
}

async function requireUser({ caller, em }: Call, userId: string): Promise<User> {
  if (!caller.permissions.has(SET_PASSWORDS) && !isSelf(caller, userId)) throw permissionDenied(SET_PASSWORDS);
  const user = await findUser(em, userId);
  if (!user) throw userNotFound();
  return user;
}

function given({ email, username, profile }: CheckPasswordInput): PersonalData {
  const { firstName = '', lastName = '', fullName = '' } = profile ?? {};
  return { email, username, names: [firstName, lastName, fullName] };
}
