import { describe, expect, it } from 'vitest';
import { lockoutCleanup } from '../../src/auth/lockout/lockout-cleanup.ts';
import { BATCH, runCleanup } from '../../src/jobs/cleanup.ts';
import { rateLimitCleanup } from '../../src/rate-limits/rate-limit.repository.ts';
import { sessionCleanup } from '../../src/sessions/session-cleanup.ts';
import { newEmail, signedIn } from '../support/builders.ts';
import { expectStatus } from '../support/expect-status.ts';
import { useService } from '../support/service.ts';

const DAY = 86_400;
const REFRESH_TTL = 7 * DAY;

const service = useService();

const clean = () => runCleanup(service.app.orm.em, service.clock.now(), [...sessionCleanup, ...lockoutCleanup]);

const count = async (table: string) => (await service.database.pool.query(`select 1 from ${table}`)).rowCount;

describe('housekeeping', () => {
  it('leaves alone what is still needed', async () => {
    const { tokens } = await signedIn(service);
    await expectStatus(service.auth.login({ email: newEmail(), password: 'wrong' }), 'UNAUTHENTICATED', 'INVALID_CREDENTIALS');

    expect(await clean()).toEqual({
      expired_sessions: 0,
      forgotten_devices: 0,
      attempted_identifiers: 0,
      forgotten_device_tokens: 0,
    });
    await service.auth.refreshToken({ refreshToken: tokens.refreshToken });
  });

  it('deletes expired sessions and forgotten attempts', async () => {
    service.clock.advance(REFRESH_TTL + 31 * DAY);
    await clean();

    expect(await Promise.all(['sessions', 'attempted_identifiers'].map(count))).toEqual([0, 0]);
  });

  it('forgets devices half a year after their last use', async () => {
    await signedIn(service);
    service.clock.advance(179 * DAY);
    expect(await clean()).toMatchObject({ forgotten_device_tokens: 1 });
    service.clock.advance(2 * DAY);
    expect(await clean()).toMatchObject({ forgotten_device_tokens: 1 });
    expect(await count('device_tokens')).toBe(0);
  });

  it('deletes the counters of rate limits whose window is over, and no others', async () => {
    const now = new Date();
    await service.database.pool.query(
      `truncate rate_limits; insert into rate_limits (key, points, expire) values ('over', 5, ${now.getTime() - 1}), ('open', 5, ${now.getTime()})`,
    );
    expect(await runCleanup(service.app.orm.em, now, rateLimitCleanup)).toEqual({ expired_rate_limits: 1 });
    expect((await service.database.pool.query('select key from rate_limits')).rows).toEqual([{ key: 'open' }]);
  });

  it('goes on until nothing is left, however much has piled up', async () => {
    await service.database.pool.query(
      `insert into attempted_identifiers (identifier_hash, attempted_at)
       select sha256(n::text::bytea), now() - interval '1 year' from generate_series(1, $1) n`,
      [2 * BATCH + 1],
    );

    expect(await clean()).toMatchObject({ attempted_identifiers: 2 * BATCH + 1 });
  });
});
