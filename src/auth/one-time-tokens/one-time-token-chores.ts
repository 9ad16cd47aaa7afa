import { BATCH, type Chore } from '../../jobs/cleanup.ts';
import { deleteExpiredTokens } from './one-time-token.repository.ts';

export const oneTimeTokenChores: Chore[] = [{ name: 'expired_one_time_tokens', run: (em, now) => deleteExpiredTokens(em, now, BATCH) }];
