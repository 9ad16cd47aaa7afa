import { describe, expect, it } from 'vitest';
import { emailChangeCleanup } from '../../src/auth/email-change/email-change.repository.ts';
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
      revoked_sessions: 0,
      expired_sessions: 0,
      forgotten_devices: 0,
      attempted_identifiers: 0,
      forgotten_device_tokens: 0,
    });
    await service.auth.refreshToken({ refreshToken: tokens.refreshToken });
  });

  it('deletes sessions a day after they were ended', async () => {
    const { tokens } = await signedIn(service);
    const other = await signedIn(service);
    await service.auth.logout({ refreshToken: tokens.refreshToken });
    service.clock.advance(DAY - 1);
    expect(await clean()).toMatchObject({ revoked_sessions: 0 });
    service.clock.advance(2);
    expect(await clean()).toMatchObject({ revoked_sessions: 1, expired_sessions: 0 });
    await service.auth.refreshToken({ refreshToken: other.tokens.refreshToken });
  });

  it('deletes expired sessions and forgotten attempts', async () => {
    service.clock.advance(REFRESH_TTL + 31 * DAY);
    await clean();

    expect(await Promise.all(['sessions', 'attempted_identifiers'].map(count))).toEqual([0, 0]);
  });

  it('forgets devices half a year after their last use', async () => {
    const known = await count('device_tokens');
    await signedIn(service);
    service.clock.advance(179 * DAY);
    expect(await clean()).toMatchObject({ forgotten_device_tokens: known });
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

  it('deletes changes of an email whose links are good for nothing any more, and no others', async () => {
    const { user } = await signedIn(service);
    const now = new Date();
    const insert = (newEmail: string, expiresAt: Date) =>
      service.database.pool.query(
        `insert into email_changes (user_id, new_email, confirm_hash, revert_hash, requested_at, expires_at) values ($1, $2, $3, $4, $5, $5)`,
        [user.id, newEmail, Buffer.from(`confirm ${newEmail}`), Buffer.from(`revert ${newEmail}`), expiresAt],
      );
    await insert('over@example.com', new Date(now.getTime() - 1));
    await insert('open@example.com', now);
    expect(await runCleanup(service.app.orm.em, now, emailChangeCleanup)).toEqual({ expired_email_changes: 1 });
    expect((await service.database.pool.query('select new_email from email_changes')).rows).toEqual([{ new_email: 'open@example.com' }]);
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
