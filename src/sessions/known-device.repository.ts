import type { EntityManager } from '@mikro-orm/postgresql';
import { KnownDevice } from './known-device.entity.ts';

/** Devices are forgotten after half a year: that one was used is noted to the day. */
export const SEEN_LONG_AGO = `known.last_seen_at < excluded.last_seen_at - interval '1 day'`;

/** Remembers a device. Tells whether it is one more, that is neither known nor the first one. The caller holds the lock on the user. */
export async function isAnotherDevice(em: EntityManager, userId: string, deviceHash: Buffer, now: Date): Promise<boolean> {
  const rows = await em.execute<{ another: boolean }[]>(
    `insert into known_devices as known (user_id, device_hash, first_seen_at, last_seen_at) values (?, ?, ?, ?)
     on conflict (user_id, device_hash) do update set last_seen_at = excluded.last_seen_at where ${SEEN_LONG_AGO}
     returning known.xmax = 0 and exists (select from known_devices where user_id = ? and device_hash <> ?) as another`,
    [userId, deviceHash, now, now, userId, deviceHash],
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
