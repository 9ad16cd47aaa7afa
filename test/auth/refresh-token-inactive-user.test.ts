import { describe, expect, it } from 'vitest';
import { signedIn } from '../support/builders.ts';
import { expectStatus } from '../support/expect-status.ts';
import { rows } from '../support/rows.ts';
import { useService } from '../support/service.ts';
import { eventsOfSession, expectAlive, isActive, refresh } from '../support/sessions.ts';

const service = useService();

/** As an operator or another program would, past the service: no session ends. */
const setActive = (userId: string, active: boolean) => rows(service, 'update users set is_active = $2 where id = $1', [userId, active]);

const sessionOf = (id: string) => rows(service, 'select * from sessions where id = $1', [id]);

describe('a user who was deactivated past the service', () => {
  it('gets no tokens for any refresh token, which is not taken for theft and changes nothing', async () => {
    const { user, tokens } = await signedIn(service);
    const { sessionId } = tokens;
    const second = await refresh(service, tokens.refreshToken);
    const third = await refresh(service, second.refreshToken);
    const before = await sessionOf(sessionId);
    await setActive(user.id, false);

    // The current one, the one before it, within the grace, and one that was used long ago.
    for (const { refreshToken } of [third, second, tokens]) {
      await expectStatus(service.auth.refreshToken({ refreshToken }), 'UNAUTHENTICATED', 'INVALID_REFRESH_TOKEN');
    }
    expect(await isActive(service, third.accessToken)).toBe(false);
    expect(await sessionOf(sessionId)).toEqual(before);
    expect(before).toMatchObject([{ revoked_at: null }]);
    expect(await eventsOfSession(service, sessionId)).toEqual([]);

    await setActive(user.id, true);
    // What SQL has changed past the service is known when the next epoch is.
    await expect.poll(() => isActive(service, third.accessToken)).toBe(true);
    await expectAlive(service, third);
  });

  it('is not judged anew after the grace, either', async () => {
    const { user, tokens } = await signedIn(service);
    const second = await refresh(service, tokens.refreshToken);
    await setActive(user.id, false);
    service.clock.advance(60);
    await expectStatus(service.auth.refreshToken({ refreshToken: tokens.refreshToken }), 'UNAUTHENTICATED', 'INVALID_REFRESH_TOKEN');
    expect(await eventsOfSession(service, tokens.sessionId)).toEqual([]);
    await setActive(user.id, true);
    await refresh(service, second.refreshToken);
  });
});
