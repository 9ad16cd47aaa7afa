import type { CleanupStep } from '../jobs/cleanup.ts';
import { deleteForgottenDevices } from './known-device.repository.ts';
import { deleteExpiredSessions, deleteRevokedSessions } from './session.repository.ts';

const secondsBefore = (now: Date, seconds: number) => new Date(now.getTime() - seconds * 1000);

/** A session that has ended or expired is kept for a day, for whoever looks into what happened. */
const KEPT_SECONDS = 86_400;

/** Half a year: a device that was away for longer is news to its owner. */
const DEVICE_KEPT_SECONDS = 180 * 86_400;

export const sessionCleanup: readonly CleanupStep[] = [
  { name: 'revoked_sessions', run: (em, now, limit) => deleteRevokedSessions(em, secondsBefore(now, KEPT_SECONDS), limit) },
  { name: 'expired_sessions', run: (em, now, limit) => deleteExpiredSessions(em, secondsBefore(now, KEPT_SECONDS), limit) },
  { name: 'forgotten_devices', run: (em, now, limit) => deleteForgottenDevices(em, secondsBefore(now, DEVICE_KEPT_SECONDS), limit) },
];
