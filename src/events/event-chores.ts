import { BATCH, type CleanupStep } from '../jobs/cleanup.ts';
import { deleteOldEvents } from './event.repository.ts';

/** Long enough for a consumer that was away over the weekend; the audit trail is what remembers. */
const KEPT_MS = 7 * 86_400_000;

export const eventChores: CleanupStep[] = [
  { name: 'old_events', run: (em, now) => deleteOldEvents(em, new Date(now.getTime() - KEPT_MS), BATCH) },
];
