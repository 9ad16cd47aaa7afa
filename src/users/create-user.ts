import type { EntityManager } from '@mikro-orm/postgresql';
import { z } from 'zod';
import { record } from '../audit/audit-log.ts';
import type { Call } from '../call/call.ts';
import type { Client } from '../call/client.ts';
import { emptyAsAbsent, uuid } from '../call/validation.ts';
import { databaseFailure } from '../database/sqlstate.ts';
import { transaction } from '../database/transaction.ts';
import type { User } from './user.entity.ts';
import { requestIdReused } from './user.errors.ts';
import { addUser, findUserByRequestId } from './user.repository.ts';
import { email, newProfile, type ProfileInput, type ProfileRules, username } from './user-fields.ts';
import { type UserView, viewOf } from './user-view.ts';

/** The user who gets a password: it must not be built from this. */
export interface PasswordOwner {
  readonly email: string;
  readonly username?: string | undefined;
  readonly names: readonly string[];
}

/** The operations on passwords that users need; `auth` provides them. */
export interface NewPasswords {
  /** The rules that a password breaks, as far as that can be told at once. */
  problems(password: string, owner: PasswordOwner): string[];
  /** Refuses a password that breaks any rule; returns its hash. */
  prepare(call: Call, password: string, owner: PasswordOwner, client?: Client): Promise<string>;
  /** Sets the password of a user, with which their history begins. */
  give(em: EntityManager, user: User, passwordHash: string, now: Date): void;
}

export interface CreateUserDeps extends ProfileRules {
  readonly newPasswords: NewPasswords;
}

export interface NewUser {
  readonly email: string;
  readonly password?: string | undefined;
  readonly username?: string | undefined;
  readonly profile: ProfileInput;
  readonly requestId?: string | undefined;
  readonly client?: Client;
  /** Asks for the mail that verifies the address, in the same transaction; this is written down with it. */
  readonly requestVerification?: Readonly<Record<string, string>>;
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
 * User, profile, password and audit event are stored in one transaction. The unique indexes alone decide whether email
 * and username are free: a check beforehand could be overtaken.
 */
export async function createUser(call: Call, deps: CreateUserDeps, input: NewUser): Promise<UserView> {
  const { password, client } = input;
  const passwordHash = password === undefined ? undefined : await deps.newPasswords.prepare(call, password, ownerOf(input), client);
  try {
    return await transaction(call.em, async (em) => insert(em, call, deps, input, passwordHash));
  } catch (error) {
    return viewOf(await replayed(call, input, error));
  }
}

function insert(em: EntityManager, call: Call, deps: CreateUserDeps, input: NewUser, passwordHash: string | undefined): UserView {
  const { email, username, profile, requestId, client, requestVerification } = input;
  const user = addUser(em, { email, username, requestId }, profile);
  if (passwordHash !== undefined) deps.newPasswords.give(em, user, passwordHash, call.now());
  record(em, call, { type: 'user.created', userId: user.id, ...(client && { client }) });
  if (requestVerification) record(em, call, { type: 'user.email_verification_requested', userId: user.id, metadata: requestVerification });
  const hasPassword = passwordHash !== undefined;
  return { id: user.id, email, username, ...profile, emailVerified: false, active: true, hasPassword, roles: [] };
}

/** The same request once more gives the user that the first one made (AIP-155). */
async function replayed(call: Call, { requestId, email }: NewUser, error: unknown): Promise<User> {
  if (requestId === undefined || databaseFailure(error)?.kind !== 'unique') throw error;
  const earlier = await findUserByRequestId(call.em, requestId);
  if (!earlier) throw error;
  if (earlier.email !== email) throw requestIdReused();
  return earlier;
}
