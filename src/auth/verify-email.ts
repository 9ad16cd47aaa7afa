import type { EntityManager } from '@mikro-orm/postgresql';
import { z } from 'zod';
import { record } from '../audit/audit-log.ts';
import { mayTouch, ownSessionId } from '../call/authorize.ts';
import type { Call } from '../call/call.ts';
import { NO_CLIENT, vouchedClient } from '../call/client.ts';
import { transaction } from '../database/transaction.ts';
import type { LimitCredentials } from '../rate-limits/rate-limits.ts';
import { findLiveSessions } from '../sessions/session.repository.ts';
import type { User } from '../users/user.entity.ts';
import { findUser, loadProfile, lockUserWithPassword } from '../users/user.repository.ts';
import { invalidVerificationToken } from './auth.errors.ts';
import { CREDENTIAL_KINDS } from './credentials/credential-policy.ts';
import { type EventOptions, endCredentialsBy } from './credentials/credentials.ts';
import { settleSuccess } from './lockout/forget-failures.ts';
import type { OneTimeTokens } from './one-time-tokens/one-time-tokens.ts';
import { turnOf } from './passwords/hash-pool.ts';
import { presentedPassword } from './passwords/password-policy.ts';
import { type WithVerifiedPasswordDeps, withVerifiedPassword } from './with-verified-password.ts';

export const mailedToken = z.string().min(1, 'is required').max(512, 'is not a token of a mail');

export const verifyEmailInput = z.object({ verificationToken: mailedToken, password: presentedPassword.optional() });

export interface VerifyEmailDeps extends WithVerifiedPasswordDeps {
  readonly oneTimeTokens: OneTimeTokens;
  readonly limitCredentials: LimitCredentials;
}

type VerifyEmailInput = z.output<typeof verifyEmailInput>;

/**
 * The token is not used up: mail clients open links before their readers do, and a lost answer is asked for again. It does no more than it has
 * done, for as long as it lives.
 */
export async function verifyEmail(call: Call, deps: VerifyEmailDeps, { verificationToken, password }: VerifyEmailInput): Promise<User> {
  // A password is of no use where the email is verified already, so nobody can guess it here.
  const unverified = password === undefined ? undefined : await findUnverified(call, deps, verificationToken);
  if (password === undefined || !unverified) return verifyByTokenAlone(call, deps, verificationToken);
  return verifyWithPassword(call, deps, { verificationToken, password, userId: unverified.id });
}

function verifyByTokenAlone(call: Call, deps: VerifyEmailDeps, verificationToken: string): Promise<User> {
  return transaction(call.em, async (em) => {
    const token = await deps.oneTimeTokens.find(em, 'email_verification', verificationToken, call.now());
    const user = token && (await lockUserWithPassword(em, token.userId));
    if (!user) throw invalidVerificationToken();
    return verify(em, call, deps, { user, verificationToken, kept: keptByCarrier });
  });
}

interface WithPassword {
  readonly verificationToken: string;
  readonly password: string;
  readonly userId: string;
}

async function verifyWithPassword(call: Call, deps: VerifyEmailDeps, { verificationToken, password, userId }: WithPassword): Promise<User> {
  const client = vouchedClient(call, NO_CLIENT);
  deps.passwords.requireRoom(turnOf(call, client));
  await deps.limitCredentials(call, { rpc: 'VerifyEmail', client, identifier: userId });
  const attempt = await deps.attempts.claim(call, 'id', userId);
  return withVerifiedPassword(call, deps, { attempt, password, client }, (_verdict, withLockedUser) =>
    withLockedUser(async (em, user) => {
      await settleSuccess(em, call, user, attempt);
      return verify(em, call, deps, { user, verificationToken, kept: keptByPassword });
    }),
  );
}

/** The user whom a token is for, unless they are verified; throws where it is good for nobody. */
async function findUnverified(call: Call, { oneTimeTokens }: VerifyEmailDeps, verificationToken: string): Promise<User | undefined> {
  const token = await oneTimeTokens.find(call.em, 'email_verification', verificationToken, call.now());
  const user = token && (await findUser(call.em, token.userId));
  if (!user?.active || !mayTouch(call, user.id)) throw invalidVerificationToken();
  return user.isEmailVerified() ? undefined : user;
}

/** The credentials that a proof leaves, by what came with it. */
type Kept = (em: EntityManager, call: Call, user: User) => Promise<EventOptions>;

interface Verification {
  /** Locked. */
  readonly user: User;
  readonly verificationToken: string;
  readonly kept: Kept;
}

async function verify(em: EntityManager, call: Call, deps: VerifyEmailDeps, { user, verificationToken, kept }: Verification) {
  // Under the lock: the token may have been voided while this call waited for it.
  const token = await deps.oneTimeTokens.find(em, 'email_verification', verificationToken, call.now());
  if (!user.active || token?.userId !== user.id || !mayTouch(call, user.id)) throw invalidVerificationToken();
  user.noteInteraction(call.now());
  await markEmailVerified(em, call, user, async () => ({ ...(await kept(em, call, user)), exceptTokenId: token.id }));
  return loadProfile(em, user);
}

const keptByNothing: Kept = async () => ({});

/** The right password came along: it was the account of whoever reads the mail from the beginning. */
const keptByPassword: Kept = async () => ({ keep: CREDENTIAL_KINDS });

/** The session that carries the call is of somebody who reads the mail; and if it began with the password, they know that as well. */
const keptByCarrier: Kept = async (em, call, user) => {
  const id = ownSessionId(call, user.id);
  const carrier = id === undefined ? undefined : (await findLiveSessions(em, user.id, call.now())).find((session) => session.id === id);
  return { exceptSessionId: carrier?.id, keep: carrier?.authMethods.includes('pwd') ? ['password'] : [] };
};

/**
 * Marks the email of a user, who is locked, as verified: somebody who presents a secret that was mailed to an address reads the mail there.
 * Anything that was set up before that may be of somebody who only knew the address, so it ends, but for what is theirs by a proof of its own
 * (ADR 18). Nothing ends where the email was verified before. Tells whether this was the first proof.
 */
export async function markEmailVerified(em: EntityManager, call: Call, user: User, kept = keptByNothing): Promise<boolean> {
  if (user.isEmailVerified()) return false;
  user.emailVerifiedAt = call.now();
  const ended = await endCredentialsBy(em, call, 'mailbox_proved', user, await kept(em, call, user));
  const kinds = CREDENTIAL_KINDS.filter((kind) => ended[kind]);
  record(em, call, { type: 'user.email_verified', userId: user.id, metadata: kinds.length > 0 ? { ended: kinds.join(',') } : {} });
  return true;
}
