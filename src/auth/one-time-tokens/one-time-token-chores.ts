import { BATCH, type CleanupStep } from '../../jobs/cleanup.ts';
import { deleteExpiredTokens } from './one-time-token.repository.ts';

export const oneTimeTokenChores: CleanupStep[] = [
  { name: 'expired_one_time_tokens', run: (em, now) => deleteExpiredTokens(em, now, BATCH) },
];
