import { describe, expect, it } from 'vitest';
import { required, signedIn } from '../support/builders.ts';
import { createDatabase } from '../support/database.ts';
import { rows } from '../support/rows.ts';
import { startService } from '../support/service.ts';
import { isActive } from '../support/sessions.ts';

describe('when a session and its user were last active', () => {
  it('is never moved back by a replica that has noted less', async () => {
    const database = await createDatabase();
    const service = await startService({}, database);
    try {
      const [known, ahead] = [await signedIn(service), await signedIn(service)];
      const sessions = [known.tokens.sessionId, ahead.tokens.sessionId];
      service.clock.advance(120);
      const noted = service.clock.now();
      // Both are noted here, and one of them elsewhere and later.
      for (const { tokens } of [known, ahead]) expect(await isActive(service, tokens.accessToken)).toBe(true);
      await rows(service, `update sessions set last_active_at = $2 where id = $1`, [sessions[1], new Date(noted.getTime() + 600_000)]);
      await rows(service, `update users set last_login_at = $2 where id = $1`, [ahead.user.id, new Date(noted.getTime() + 600_000)]);
      // All that was noted is written by then.
      await service.app.close();
      const sql = `select s.last_active_at as session, u.last_login_at as user from sessions s join users u on u.id = s.user_id where s.id = $1`;
      const moments = async (id: string | undefined) =>
        Object.values(required((await database.pool.query<Record<string, Date>>(sql, [id])).rows[0])).map(
          (moment) => Math.round((moment.getTime() - noted.getTime()) / 10_000) * 10,
        );
      expect(await moments(sessions[0])).toEqual([0, 0]);
      expect(await moments(sessions[1])).toEqual([600, 600]);
    } finally {
      await service.stop();
      await database.drop();
    }
  });
});
