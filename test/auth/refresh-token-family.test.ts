import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { runCleanup } from '../../src/jobs/cleanup.ts';
import { sessionCleanup } from '../../src/sessions/session-cleanup.ts';
import { logIn, required, signedIn } from '../support/builders.ts';
import { expectStatus } from '../support/expect-status.ts';
import { useService } from '../support/service.ts';
import { endingsOf, eventsOfSession, expectAlive, expectDead, partsOf, refresh } from '../support/sessions.ts';

const WEEK = 7 * 86_400;
/** As the comment in tokens.proto has it. */
const MAX_LENGTH = 128;

const service = useService();

const expectRefused = (refreshToken: string) =>
  expectStatus(service.auth.refreshToken({ refreshToken }), 'UNAUTHENTICATED', 'INVALID_REFRESH_TOKEN');

const madeUp = () => randomBytes(32).toString('base64url');

describe('the family of a refresh token', () => {
  it('is the same in all tokens of a session, and another one in each session', async () => {
    const { user, tokens } = await signedIn(service);
    const second = await refresh(service, tokens.refreshToken);
    const third = await refresh(service, second.refreshToken);
    const elsewhere = await logIn(service, user.email);
    const families = [tokens, second, third, elsewhere].map(({ refreshToken }) => partsOf(refreshToken).family);
    expect(new Set(families.slice(0, 3)).size).toBe(1);
    expect(new Set(families).size).toBe(2);
  });

  it('leaves tokens no longer than callers were told, however often they are traded in', async () => {
    let { tokens } = await signedIn(service);
    for (let time = 1; time <= 4; time++) tokens = await refresh(service, tokens.refreshToken);
    expect(tokens.refreshToken.length).toBeLessThanOrEqual(MAX_LENGTH);
  });

  it('lets a used token be recognised for as long as the session lives', async () => {
    const { tokens } = await signedIn(service);
    let current = tokens;
    for (let week = 1; week <= 10; week++) {
      service.clock.advance(WEEK - 60);
      current = await refresh(service, current.refreshToken);
    }
    await runCleanup(service.app.orm.em, service.clock.now(), sessionCleanup);
    await expectRefused(tokens.refreshToken);
    await expectDead(service, current);
    expect(await endingsOf(service, tokens.sessionId)).toEqual(['refresh_reused']);
  });

  it('that nobody has ends nothing, whatever secret comes with it', async () => {
    const { tokens } = await signedIn(service);
    const { family, secret } = partsOf(tokens.refreshToken);
    const unknown = [`${madeUp()}.${secret}`, `${secret}.${family}`, `${secret}.${secret}`, secret, ` ${tokens.refreshToken}`];
    for (const token of [...unknown, tokens.refreshToken.slice(1), `.${tokens.refreshToken}`]) await expectRefused(token);
    expect(await eventsOfSession(service, tokens.sessionId)).toEqual([]);
    await expectAlive(service, tokens);
  });

  // Only somebody who has a token of the session, or had one, knows its family.
  it.each<[string, (token: string) => string]>([
    ['a secret that was made up', (token) => `${partsOf(token).family}.${madeUp()}`],
    ['anything added to the secret', (token) => `${token}=`],
    ['a third part', (token) => `${token}.${madeUp()}`],
    ['a part of the secret', (token) => token.slice(0, -1)],
    ['no secret', (token) => partsOf(token).family],
  ])('with %s ends the session, as reuse', async (_, changed) => {
    const { user, tokens } = await signedIn(service);
    await expectRefused(changed(tokens.refreshToken));
    await expectDead(service, tokens);
    expect(await eventsOfSession(service, tokens.sessionId)).toMatchObject([
      { type: 'session.refresh_reused', userId: user.id },
      { type: 'session.revoked', userId: user.id, reason: 'refresh_reused' },
    ]);
  });

  it('does so once: the second time the session is over', async () => {
    const { tokens } = await signedIn(service);
    const forged = `${partsOf(tokens.refreshToken).family}.${madeUp()}`;
    for (let time = 1; time <= 2; time++) await expectRefused(forged);
    expect(await endingsOf(service, tokens.sessionId)).toEqual(['refresh_reused']);
  });

  it('is enough to log out', async () => {
    const { tokens } = await signedIn(service);
    const current = await refresh(service, tokens.refreshToken);
    await service.auth.logout({ refreshToken: tokens.refreshToken });
    await expectDead(service, required(current));
    expect(await endingsOf(service, tokens.sessionId)).toEqual(['logout']);
  });
});
