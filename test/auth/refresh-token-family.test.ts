import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { runCleanup } from '../../src/jobs/cleanup.ts';
import { sessionCleanup } from '../../src/sessions/session-cleanup.ts';
import { logIn, required, signedIn } from '../support/builders.ts';
import { useService } from '../support/service.ts';
import { endingsOf, eventsOfSession, expectAlive, expectDead, expectRefused, partsOf, refresh, refreshTimes } from '../support/sessions.ts';

const WEEK = 7 * 86_400;
/** As the comment in tokens.proto has it. */
const MAX_LENGTH = 128;

const service = useService({ SESSION_MAX_AGE: String(20 * WEEK) });

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
    await expectRefused(service, tokens.refreshToken);
    await expectDead(service, current);
    expect(await endingsOf(service, tokens.sessionId)).toEqual(['refresh_reused']);
  });

  it('that nobody has ends nothing, whatever secret comes with it', async () => {
    const { tokens } = await signedIn(service);
    const { family, secret } = partsOf(tokens.refreshToken);
    const unknown = [`${madeUp()}.${secret}`, `${secret}.${family}`, `${secret}.${secret}`, secret, ` ${tokens.refreshToken}`];
    for (const token of [...unknown, tokens.refreshToken.slice(1), `.${tokens.refreshToken}`, tokens.refreshToken.toUpperCase()])
      await expectRefused(service, token);
    expect(await eventsOfSession(service, tokens.sessionId)).toEqual([]);
    await expectAlive(service, tokens);
  });

  // Whoever has a token of the session, or had one, knows its family; a clipboard or a log may have a part of it.
  it.each<[string, (token: string, other: string) => string]>([
    ['a secret that was made up', (token) => `${partsOf(token).family}.${madeUp()}`],
    ['a secret and a checksum that were made up', (token) => `${partsOf(token).family}.${madeUp()}.${madeUp().slice(0, 22)}`],
    ['the secret and the checksum of another session', (token, other) => [token.split('.')[0], ...other.split('.').slice(1)].join('.')],
    ['anything added', (token) => `${token}=`],
    ['a line break', (token) => `${token}\n`],
    ['a blank', (token) => `${token} `],
    ['a fourth part', (token) => `${token}.${madeUp()}`],
    ['one character less', (token) => token.slice(0, -1)],
    ['half of it', (token) => token.slice(0, token.length / 2)],
    ['no checksum', (token) => token.slice(0, token.lastIndexOf('.'))],
    ['an empty checksum', (token) => token.slice(0, token.lastIndexOf('.') + 1)],
    ['no secret', (token) => partsOf(token).family],
    ['its secret in upper case', (token) => `${partsOf(token).family}.${token.slice(44).toUpperCase()}`],
    ['its secret in lower case', (token) => `${partsOf(token).family}.${token.slice(44).toLowerCase()}`],
    ['the dots percent-encoded', (token) => token.replace(/\.(?=[^.]*$)/, '%2E')],
    ['another last character of the secret', (token) => token.replace(/.(?=\.[^.]*$)/, (last) => (last === 'A' ? 'B' : 'A'))],
  ])('with %s was never issued, and ends nothing', async (_, changed) => {
    const [{ tokens }, stranger] = [await signedIn(service), await signedIn(service)];
    const chain = [tokens, ...(await refreshTimes(service, tokens, 3))];
    service.clock.advance(60);
    for (const { refreshToken } of chain) await expectRefused(service, changed(refreshToken, stranger.tokens.refreshToken));
    expect(await eventsOfSession(service, tokens.sessionId)).toEqual([]);
    await expectAlive(service, required(chain.at(-1)));
  });

  it('ends a session by reuse once: the second time it is over', async () => {
    const { tokens } = await signedIn(service);
    await refreshTimes(service, tokens, 2);
    service.clock.advance(60);
    for (let time = 1; time <= 2; time++) await expectRefused(service, tokens.refreshToken);
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
