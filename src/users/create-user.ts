import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { type Recorded, recordedBy } from '../audit/recording.repository.ts';
import type { Call } from '../call/call.ts';
import { type Client, NO_CLIENT } from '../call/client.ts';
import { emptyAsAbsent, uuid } from '../call/validation.ts';
import { databaseFailure } from '../database/sqlstate.ts';
import { untilNoConflict } from '../database/transaction.ts';
import type { InsertedUser } from './insert-user.repository.ts';
import type { User } from './user.entity.ts';
import { requestIdReused } from './user.errors.ts';
import { findUserByRequestId } from './user.repository.ts';
import { email, newProfile, type ProfileInput, type ProfileRules, username } from './user-fields.ts';
import { type UserView, viewOf } from './user-view.ts';

/** Who gets a password: it must not be built from this. */
export interface PasswordOwner {
  readonly email: string;
  readonly username?: string | undefined;
  readonly names: readonly string[];
}

export interface PreparedPassword {
  readonly hash: string;
  /** Whether the history of passwords begins with it. */
  readonly kept: boolean;
}

/** What users need to know of passwords; `auth` provides it. */
export interface NewPasswords {
  /** The rules that a password breaks, as far as that can be told at once. */
  problems(password: string, owner: PasswordOwner): string[];
  /** Refuses a password that breaks any rule, and hashes it. */
  prepare(call: Call, password: string, owner: PasswordOwner): Promise<PreparedPassword>;
}

export interface CreateUserDeps extends ProfileRules {
  readonly newPasswords: NewPasswords;
  readonly insertUser: (signal: AbortSignal, user: InsertedUser) => Promise<Recorded[]>;
  /** Tells this process what was written down past the unit of work. */
  readonly tell: (recorded: Recorded) => void;
}

export interface NewUser {
  readonly email: string;
  readonly password?: string | undefined;
  readonly username?: string | undefined;
  readonly profile: ProfileInput;
  readonly requestId?: string | undefined;
  readonly client?: Client;
  /** Asks for the mail that verifies the address, in the same transaction. */
  readonly requestVerification?: boolean;
}

export const createUserInput = (deps: CreateUserDeps) =>
  z
    .object({
      email,
      password: z.string().optional(),
      username: username.optional(),
      profile: newProfile(deps),
      requestId: emptyAsAbsent(uuid),
    })
    // Beside other violations, so that the caller is told all of them; without any, createUser looks further and tells everything.
    .superRefine(refusePassword(deps), { when: ({ issues }) => issues.length > 0 });

/** Also where the other fields are not valid: their values are as they were given. */
function refusePassword({ newPasswords }: CreateUserDeps) {
  return ({ password, ...given }: Named & { password?: string | undefined }, context: z.RefinementCtx) => {
    if (password === undefined) return;
    for (const message of newPasswords.problems(password, ownerOf(given)))
      context.addIssue({ code: 'custom', path: ['password'], message });
  };
}

type Named = Pick<NewUser, 'email' | 'username'> & { readonly profile?: Partial<ProfileInput> };

function ownerOf({ email, username, profile: { firstName, lastName, fullName } = {} }: Named): PasswordOwner {
  return { email, username, names: [firstName, lastName, fullName].filter((name) => name != null) };
}

/**
 * User, profile, password and audit event in one transaction. Whether email and username are free is decided by their unique indexes
 * alone: a check beforehand could be overtaken.
 */
export async function createUser(call: Call, deps: CreateUserDeps, input: NewUser): Promise<UserView> {
  const password = input.password === undefined ? undefined : await deps.newPasswords.prepare(call, input.password, ownerOf(input));
  const user = newUser(call, input, password);
  try {
    const recorded = await untilNoConflict(() => deps.insertUser(call.signal, user));
    for (const occurrence of recorded) deps.tell(occurrence);
  } catch (error) {
    return viewOf(await replayed(call, input, error));
  }
  const { id, email, username, profile } = user;
  return { id, email, username, ...profile, emailVerified: false, active: true, hasPassword: password !== undefined, roles: [] };
}

function newUser(call: Call, input: NewUser, password: PreparedPassword | undefined): InsertedUser {
  const { email, username = null, profile, requestId = null, client = NO_CLIENT, requestVerification = false } = input;
  return {
    id: randomUUID(),
    email,
    username,
    profile,
    requestId,
    passwordHash: password?.hash ?? null,
    passwordKept: password?.kept ?? false,
    verificationRequested: requestVerification,
    client,
    now: call.now(),
    ...recordedBy(call),
  };
}

/** The same request once more gives the user that the first one made (AIP-155). */
async function replayed(call: Call, { requestId, email }: NewUser, error: unknown): Promise<User> {
  if (requestId === undefined || databaseFailure(error)?.kind !== 'unique') throw error;
  const earlier = await findUserByRequestId(call.em, requestId);
  if (!earlier) throw error;
  if (earlier.email !== email) throw requestIdReused();
  return earlier;
}
