import type { Pool } from 'pg';
import { runPrepared } from '../database/prepared.ts';
import type { LiveSession } from './live-sessions.ts';

const FIND = {
  name: 'sessions.find-live',
  text: `select user_id, extract(epoch from expires_at)::float8 * 1000 as expires_at,
      extract(epoch from last_active_at)::float8 * 1000 as last_active_at
    from sessions where id = $1 and revoked_at is null and expires_at > $2`,
};

interface Row {
  user_id: string;
  expires_at: number;
  last_active_at: number;
}

/** The session, unless it has ended. */
export async function findLiveSession(pool: Pool, id: string, now: Date): Promise<LiveSession | undefined> {
  const [row] = await runPrepared<Row>(pool, FIND, [id, now]);
  return row && { id, userId: row.user_id, expiresAt: new Date(row.expires_at), lastActiveAt: new Date(row.last_active_at) };
}
