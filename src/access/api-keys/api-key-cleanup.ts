import type { CleanupStep } from '../../jobs/cleanup.ts';
import { deleteEndedKeys } from './api-key.repository.ts';

/** A key that does not work any more is listed for a month, so that its owner sees what became of it. */
const KEPT_MS = 30 * 86_400_000;

export const apiKeyCleanup: readonly CleanupStep[] = [
  { name: 'ended_api_keys', run: (em, now, limit) => deleteEndedKeys(em, new Date(now.getTime() - KEPT_MS), limit) },
];
