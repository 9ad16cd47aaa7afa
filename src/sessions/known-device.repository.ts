import type { EntityManager } from '@mikro-orm/postgresql';
import { KnownDevice } from './known-device.entity.ts';

/** Devices are forgotten after half a year: that one was used is noted to the day. */
export const SEEN_LONG_AGO = `known.last_seen_at < excluded.last_seen_at - interval '1 day'`;

/** Of one user; others are forgotten, the longest unused first. A device is what its name and user agent say, so anybody can have many. */
const MAX_DEVICES = 100;

/** Remembers a device. Tells whether it is one more, that is neither known nor the first one. The caller holds the lock on the user. */
export async function isAnotherDevice(em: EntityManager, userId: string, deviceHash: Buffer, now: Date): Promise<boolean> {
  const rows = await em.execute<{ another: boolean }[]>(
    `with remembered as (
       insert into known_devices as known (user_id, device_hash, first_seen_at, last_seen_at) values (:userId, :deviceHash, :now, :now)
       on conflict (user_id, device_hash) do update set last_seen_at = excluded.last_seen_at where ${SEEN_LONG_AGO}
       returning known.xmax = 0 as added
     ), forgotten as (
       -- Those from before: the statement does not see the one that it adds.
       delete from known_devices where (select added from remembered) and user_id = :userId and device_hash in (
         select device_hash from known_devices where user_id = :userId order by last_seen_at desc, device_hash offset :others
       )
     )
     select added and exists (select from known_devices where user_id = :userId and device_hash <> :deviceHash) as another from remembered`,
    { userId, deviceHash, now, others: MAX_DEVICES - 1 },
  );
  return rows[0]?.another === true;
}

/** Forgets all devices of a user; returns how many. */
export function deleteKnownDevices(em: EntityManager, userId: string): Promise<number> {
  return em.nativeDelete(KnownDevice, { user: userId });
}

/** Deletes up to `limit` devices that were not used since then. */
export async function deleteForgottenDevices(em: EntityManager, before: Date, limit: number): Promise<number> {
  const deleted = await em.execute(
    `delete from known_devices where (user_id, device_hash) in (
       select user_id, device_hash from known_devices where last_seen_at < ? limit ? for update skip locked
     ) returning 1`,
    [before, limit],
  );
  return deleted.length;
}
