import { hash, randomBytes } from 'node:crypto';
import type { EntityManager } from '@mikro-orm/postgresql';
import { Secret } from '../../secrets/secret.ts';
import { addDeviceToken, keepDeviceToken } from './device-token.repository.ts';
import type { ClaimedAttempt } from './login-attempt.repository.ts';

/** 256 random bits, so a plain hash does: nobody can try them all. */
export function hashDeviceToken(token: Secret): Buffer {
  return hash('sha256', token.reveal(), 'buffer');
}

export interface SignedInDevice {
  readonly userId: string;
  /** The token that the device has presented. */
  readonly presented: Secret | undefined;
  readonly attempt: ClaimedAttempt | undefined;
  readonly now: Date;
}

/**
 * Knows the device from now on (OWASP device cookies): the token that it has is kept where that is good, otherwise it gets one. The caller holds
 * the lock on the user.
 */
export async function knowDevice(em: EntityManager, { userId, presented, attempt, now }: SignedInDevice): Promise<Secret> {
  const claimed = attempt?.deviceHash != null;
  if (presented && (await keepDeviceToken(em, { userId, tokenHash: hashDeviceToken(presented), now }, { claimed }))) return presented;
  const token = new Secret(randomBytes(32).toString('base64url'));
  await addDeviceToken(em, { userId, tokenHash: hashDeviceToken(token), now });
  return token;
}

/** Settles an attempt on a known device that has succeeded, where no session begins: the device was used, and its failures are forgotten. */
export async function settleOnDevice(em: EntityManager, userId: string, { deviceHash }: ClaimedAttempt, now: Date): Promise<void> {
  if (deviceHash) await keepDeviceToken(em, { userId, tokenHash: deviceHash, now }, { claimed: true });
}
