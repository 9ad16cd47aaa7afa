import { BATCH, type CleanupStep } from '../jobs/cleanup.ts';
import { deleteForgottenDevices } from './known-device.repository.ts';
import { deleteExpiredSessions } from './session.repository.ts';

const secondsBefore = (now: Date, seconds: number) => new Date(now.getTime() - seconds * 1000);

/** An expired session is kept for a day, for whoever looks into what happened. */
const KEPT_SECONDS = 86_400;

/** Half a year: a device that was away for longer is news to its owner. */
const DEVICE_KEPT_SECONDS = 180 * 86_400;

export const sessionChores: CleanupStep[] = [
  { name: 'expired_sessions', run: (em, now) => deleteExpiredSessions(em, secondsBefore(now, KEPT_SECONDS), BATCH) },
  { name: 'forgotten_devices', run: (em, now) => deleteForgottenDevices(em, secondsBefore(now, DEVICE_KEPT_SECONDS), BATCH) },
];
