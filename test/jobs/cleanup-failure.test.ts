import { afterEach, expect, it, vi } from 'vitest';
import { startCleanup } from '../../src/jobs/cleanup.ts';
import type { Log } from '../../src/observability/log.ts';
import { sessionCleanup } from '../../src/sessions/session-cleanup.ts';
import { signedIn } from '../support/builders.ts';
import { rows } from '../support/rows.ts';
import { useService } from '../support/service.ts';

const service = useService();

afterEach(() => void vi.useRealTimers());

it('a step that fails holds up no other, and the log has its name and its reason', async () => {
  const { tokens } = await signedIn(service);
  await service.auth.logout({ refreshToken: tokens.refreshToken });
  service.clock.advance(2 * 86_400);
  const broken = { name: 'broken', run: async () => (await rows(service, 'select 1 / 0', [])).length };
  const lines: unknown[][] = [];
  const log: Log = { failedCall: () => undefined, info: (...line) => lines.push(line), warn: (...line) => lines.push(line) };

  vi.useFakeTimers({ toFake: ['setTimeout'] });
  const stop = startCleanup({ em: service.app.orm.em, now: service.clock.now, log }, [broken, ...sessionCleanup]);
  vi.advanceTimersByTime(60_000);
  vi.useRealTimers();
  await expect.poll(() => lines).toHaveLength(2);
  stop();

  expect(lines).toEqual([
    ['a step of housekeeping failed', { step: 'broken', error: '22012' }],
    ['housekeeping', { revoked_sessions: 1, expired_sessions: 0, forgotten_devices: expect.any(Number) }],
  ]);
});
