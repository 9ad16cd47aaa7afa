import type { EntityManager } from '@mikro-orm/postgresql';
import { rfc3339 } from '../../database/moments.ts';
import type { PersonalData } from '../../users/personal-data.ts';
import { FORGOTTEN, RELEASED } from './attempt-counters.ts';
import { AttemptedIdentifier } from './attempted-identifier.entity.ts';
import { DeviceToken } from './device-token.entity.ts';
import { devicesKeptSince, MAX_CONSECUTIVE_FAILURES, MAX_DEVICE_TOKENS } from './lockout-policy.ts';

/** A device on which somebody has signed in; the caller holds the lock on the user. */
export interface UsedDevice {
  readonly userId: string;
  readonly tokenHash: Buffer;
  readonly now: Date;
}

/** Moves the last use of a device, and forgets its failures. False where the token is not good for the user (any more). */
export async function keepDeviceToken(
  em: EntityManager,
  { userId, tokenHash, now }: UsedDevice,
  { claimed }: { readonly claimed: boolean },
): Promise<boolean> {
  const kept = await em.execute(
    `update device_tokens set last_used_at = :now, ${FORGOTTEN}${claimed ? `, ${RELEASED('device_tokens')}` : ''}
     where token_hash = :tokenHash and user_id = :userId and last_used_at > :since and consecutive_failures < ${MAX_CONSECUTIVE_FAILURES}
     returning 1`,
    { userId, tokenHash, now, since: devicesKeptSince(now) },
  );
  return kept.length > 0;
}

/** Remembers one more device, in the place of the one that was away for longest where there are too many. */
export async function addDeviceToken(em: EntityManager, { userId, tokenHash, now }: UsedDevice): Promise<void> {
  await em.execute(
    `with dropped as (
       delete from device_tokens where token_hash in (
         select token_hash from device_tokens where user_id = :userId order by last_used_at desc, token_hash offset ${MAX_DEVICE_TOKENS - 1}
       )
     )
     insert into device_tokens (token_hash, user_id, created_at, last_used_at) values (:tokenHash, :userId, :now, :now)`,
    { userId, tokenHash, now },
  );
}

/** Forgets the failures on all devices of a user; returns on how many there were any. */
export async function forgetFailuresOfDevices(em: EntityManager, userId: string): Promise<number> {
  const rows = await em.execute(
    `update device_tokens set ${FORGOTTEN} where user_id = ? and (failed_attempts > 0 or consecutive_failures > 0) returning 1`,
    [userId],
  );
  return rows.length;
}

/** All devices of a user are unknown from now on; returns how many there were. */
export function deleteDeviceTokens(em: EntityManager, userId: string): Promise<number> {
  return em.nativeDelete(DeviceToken, { user: userId });
}

/** Deletes up to `limit` tokens that were not used since then. */
export async function deleteForgottenDeviceTokens(em: EntityManager, before: Date, limit: number): Promise<number> {
  const deleted = await em.execute(
    `delete from device_tokens where token_hash in
       (select token_hash from device_tokens where last_used_at < ? limit ? for update skip locked) returning 1`,
    [before, limit],
  );
  return deleted.length;
}

/** Exports the times since which devices are known; neither the hash of the token nor the counters of the defence. */
function exportDeviceTokens(em: EntityManager, userId: string, limit: number): Promise<Record<string, string>[]> {
  return em.execute(
    `select ${rfc3339('created_at')}, ${rfc3339('last_used_at')}
     from device_tokens where user_id = ? order by device_tokens.created_at limit ?`,
    [userId, limit],
  );
}

export const lockoutPersonalData: readonly PersonalData[] = [
  { kind: 'device_tokens', export: exportDeviceTokens, erase: (em, userId) => em.count(DeviceToken, { user: userId }) },
  // Counters of the defence, which would tell an intruder how many guesses are left: not exported.
  { kind: 'attempted_identifiers', erase: (em, userId) => em.count(AttemptedIdentifier, { user: userId }) },
];
