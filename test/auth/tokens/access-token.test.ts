import { describe, expect, it } from 'vitest';
import { decodeAccessToken } from '../../support/access-tokens.ts';
import { logIn, signedIn } from '../../support/builders.ts';
import { useService } from '../../support/service.ts';
import { isActive, refresh } from '../../support/sessions.ts';

const UUID_V4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

const service = useService();

const epochSeconds = () => Math.floor(service.clock.now().getTime() / 1000);

describe('the access token', () => {
  it('is a JWT of the type at+jwt, signed with HS256 and the secret', async () => {
    const { tokens } = await signedIn(service);
    const { header, signed } = decodeAccessToken(tokens.accessToken);
    expect(header).toEqual({ typ: 'at+jwt', alg: 'HS256', kid: expect.stringMatching(/^[\w-]{16}$/) });
    expect(signed).toBe(true);
  });

  it('says exactly what the contract lists', async () => {
    const before = epochSeconds();
    const { user, tokens } = await signedIn(service);
    const { claims } = decodeAccessToken(tokens.accessToken);
    expect(claims).toEqual({
      sub: user.id,
      email: user.email,
      email_verified: false,
      iat: expect.any(Number),
      exp: Number(claims.iat) + 900,
      jti: expect.stringMatching(UUID_V4),
      iss: 'identity',
      aud: ['identity'],
      sid: tokens.sessionId,
      amr: ['pwd'],
      auth_time: expect.any(Number),
      client_id: (await service.auth.getCaller({})).serviceAccount?.serviceAccountId,
      roles: [],
    });
    for (const time of [claims.iat, claims.auth_time]) {
      expect(time).toBeGreaterThanOrEqual(before);
      expect(time).toBeLessThanOrEqual(epochSeconds());
    }
    expect(tokens.expiresIn).toBe(900);
  });

  it('keeps the time of the login after a refresh, and nothing else of the old token', async () => {
    const { tokens } = await signedIn(service);
    const login = decodeAccessToken(tokens.accessToken).claims;
    service.clock.advance(1000);
    const refreshed = decodeAccessToken((await refresh(service, tokens.refreshToken)).accessToken).claims;
    expect(refreshed).toMatchObject({
      sub: login.sub,
      sid: login.sid,
      amr: ['pwd'],
      auth_time: login.auth_time,
      client_id: login.client_id,
    });
    expect(refreshed.iat).toBeGreaterThanOrEqual(Number(login.iat) + 1000);
    expect(refreshed.exp).toBe(Number(refreshed.iat) + 900);
    expect(refreshed.jti).not.toBe(login.jti);
  });

  it('has an id of its own, also where the same refresh token gave it', async () => {
    const { user, tokens } = await signedIn(service);
    const issued = [
      tokens,
      await logIn(service, user.email),
      ...(await Promise.all([1, 2, 3].map(() => refresh(service, tokens.refreshToken)))),
    ];
    const ids = issued.map(({ accessToken }) => decodeAccessToken(accessToken).claims.jti);
    expect(new Set(ids).size).toBe(5);
  });

  it('names the same key as every token of this secret', async () => {
    const keyIds = [await signedIn(service), await signedIn(service)].map(({ tokens }) => decodeAccessToken(tokens.accessToken).header.kid);
    expect(new Set(keyIds).size).toBe(1);
  });
});

describe('the access token with other settings', () => {
  const custom = useService({ JWT_ISSUER: 'https://id.example.com', JWT_AUDIENCE: 'shop, blog', ACCESS_TOKEN_TTL: '60' });

  it('names the issuer, every audience and the lifetime that are set', async () => {
    const { tokens } = await signedIn(custom);
    const { claims } = decodeAccessToken(tokens.accessToken);
    expect(claims).toMatchObject({ iss: 'https://id.example.com', aud: ['shop', 'blog'], exp: Number(claims.iat) + 60 });
    expect(tokens.expiresIn).toBe(60);
    expect(await isActive(custom, tokens.accessToken)).toBe(true);
    custom.clock.advance(60);
    expect(await isActive(custom, tokens.accessToken)).toBe(false);
  });
});
