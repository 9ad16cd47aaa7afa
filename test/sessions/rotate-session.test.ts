import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { createRefreshToken, hashFamilyOf, hashRefreshToken, successorOf } from '../../src/auth/tokens/refresh-tokens.ts';
import { PreparedStatements } from '../../src/database/prepared.ts';
import { rotateSession } from '../../src/sessions/rotate-session.repository.ts';
import { register } from '../support/builders.ts';
import { rows } from '../support/rows.ts';
import { useService } from '../support/service.ts';

const ROTATIONS = 5;
/** Refreshes of one day: the day on which a session expires is indexed. */
const minute = (number: number) => new Date(Date.UTC(2030, 0, 1, 12, number));

const service = useService();

async function sessionWith(refreshToken: string): Promise<void> {
  const { id } = await register(service);
  await rows(
    service,
    `insert into sessions (user_id, auth_methods, created_at, last_active_at, expires_at, refresh_family_hash, refresh_hash)
     values ($1, '{pwd}', now(), now(), $2, $3, $4)`,
    [id, minute(59), hashFamilyOf(refreshToken), hashRefreshToken(refreshToken)],
  );
}

describe('a rotation', () => {
  it('writes no index of sessions: each new row is a heap-only tuple', async () => {
    let current = createRefreshToken();
    await sessionWith(current);
    // PostgreSQL counts for each connection, and tells others when asked to.
    const pool = new pg.Pool({ connectionString: service.database.url, max: 1 });
    pool.on('error', () => undefined);
    try {
      for (let time = 1; time <= ROTATIONS; time++) {
        const salt = randomBytes(32);
        const next = successorOf(current, salt);
        const [familyHash, presentedHash, nextHash] = [hashFamilyOf(current), hashRefreshToken(current), hashRefreshToken(next)];
        const hashes = { familyHash, presentedHash, nextHash };
        const limits = { refreshTtl: 1800, refreshGrace: 300, sessionMaxAge: 86_400 * 3650 };
        const rotation = { ...hashes, salt, now: minute(time), ...limits, client: {} };
        expect(await rotateSession(new PreparedStatements(pool), rotation)).toBeDefined();
        current = next;
      }
      await pool.query('select pg_stat_force_next_flush()');
      const { rows: updates } = await pool.query(
        `select n_tup_upd::int as updates, n_tup_hot_upd::int as hot from pg_stat_user_tables where relname = 'sessions'`,
      );
      expect(updates).toEqual([{ updates: ROTATIONS, hot: ROTATIONS }]);
    } finally {
      await pool.end();
    }
  });
});
