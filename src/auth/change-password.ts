import type { EntityManager } from '@mikro-orm/postgresql';
import { z } from 'zod';
import { record } from '../audit/audit-log.ts';
import { ownSessionId } from '../call/authorize.ts';
import type { Call } from '../call/call.ts';
import { type Client, client, vouchedClient } from '../call/client.ts';
import { uuid } from '../call/validation.ts';
import type { User } from '../users/user.entity.ts';
import { userNotFound } from '../users/user.errors.ts';
import { findUser } from '../users/user.repository.ts';
import type { CredentialKind } from './credentials/credential-policy.ts';
import { endCredentialsBy } from './credentials/credentials.ts';
import { settleOnDevice } from './lockout/device-tokens.ts';
import { settleSuccess } from './lockout/forget-failures.ts';
import type { ClaimedAttempt } from './lockout/login-attempt.repository.ts';
import { turnOf } from './passwords/hash-pool.ts';
import { presentedPassword } from './passwords/password-policy.ts';
import { personalData } from './passwords/passwords.ts';
import { type WithVerifiedPasswordDeps, withVerifiedPassword } from './with-verified-password.ts';

export type ChangePasswordDeps = WithVerifiedPasswordDeps;

export const changePasswordInput = ({ passwords }: ChangePasswordDeps) =>
  z.object({
    userId: uuid,
    currentPassword: presentedPassword,
    newPassword: passwords.schema,
    revokeApiKeys: z.boolean().default(true),
    client,
  });

type ChangePasswordInput = z.output<ReturnType<typeof changePasswordInput>>;

/** The current password is a guess like any other, so it goes through the lockout. */
export async function changePassword(call: Call, deps: ChangePasswordDeps, input: ChangePasswordInput): Promise<void> {
  const { userId, currentPassword, newPassword } = input;
  const client = vouchedClient(call, input.client);
  const turn = turnOf(call, client);
  if (!client.deviceToken) deps.passwords.requireRoom(turn);
  const owner = await findUser(call.em, userId);
  if (!owner) throw userNotFound();
  const attempt = await deps.attempts.claim(call, 'id', userId, client);
  await withVerifiedPassword(call, deps, { attempt, password: currentPassword, client }, async (_verdict, withLockedUser) => {
    // Only now: what is refused tells about the user, their names and what they had for a password.
    await deps.passwords.requireAcceptable(call, { ...personalData(owner), password: newPassword, field: 'new_password', userId, client });
    const newHash = await deps.passwords.hash(newPassword, turn);
    await withLockedUser((em, user) =>
      replacePassword(em, call, deps, user, { newHash, revokeApiKeys: input.revokeApiKeys, attempt, client }),
    );
  });
}

interface Replacement {
  readonly newHash: string;
  readonly revokeApiKeys: boolean;
  readonly attempt: ClaimedAttempt;
  readonly client: Client;
}

/** Sets the new password and ends what the old one has opened, in one transaction. */
async function replacePassword(
  em: EntityManager,
  call: Call,
  { passwords }: ChangePasswordDeps,
  user: User,
  { newHash, revokeApiKeys, attempt, client }: Replacement,
): Promise<void> {
  user.noteInteraction(call.now());
  await settleSuccess(em, call, user, attempt);
  await settleOnDevice(em, user.id, attempt, call.now());
  await passwords.replace(em, user, newHash, call.now());
  const keep: CredentialKind[] = revokeApiKeys ? [] : ['api_keys'];
  await endCredentialsBy(em, call, 'password_changed', user, { exceptSessionId: ownSessionId(call, user.id), keep });
  record(em, call, { type: 'user.password_changed', userId: user.id, client });
}
