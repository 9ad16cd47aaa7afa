import { createHmac, generateKeyPairSync, sign } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { decodeAccessToken, forge } from '../../support/access-tokens.ts';
import { signedIn } from '../../support/builders.ts';
import { useService } from '../../support/service.ts';

const OWN_SECRET = 'a secret key that an attacker has made up';
const OWN_PAIR = generateKeyPairSync('ec', { namedCurve: 'P-256' });

const service = useService();

const isActive = async (accessToken: string) => (await service.auth.introspectToken({ accessToken })).active;

/** The token, signed with a key of one's own, whose header says where that is to be found (RFC 7515 §4.1). */
function signedByOneself(token: string, header: Record<string, unknown>): string {
  const input = `${encode({ ...decodeAccessToken(token).header, ...header })}.${token.split('.')[1]}`;
  const signature =
    header.alg === 'ES256'
      ? sign('sha256', Buffer.from(input), { key: OWN_PAIR.privateKey, dsaEncoding: 'ieee-p1363' })
      : createHmac('sha256', OWN_SECRET).update(input).digest();
  return `${input}.${signature.toString('base64url')}`;
}

const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');

const SYMMETRIC = { kty: 'oct', k: Buffer.from(OWN_SECRET).toString('base64url'), alg: 'HS256' };
const ASYMMETRIC = OWN_PAIR.publicKey.export({ format: 'jwk' });
const PEM = OWN_PAIR.publicKey.export({ format: 'pem', type: 'spki' }).toString();

describe('the key that an access token is checked with', () => {
  it.each<[string, Record<string, unknown>]>([
    ['jwk, symmetric', { jwk: SYMMETRIC }],
    ['jwk, asymmetric', { alg: 'ES256', jwk: ASYMMETRIC }],
    ['jku', { jku: 'http://127.0.0.1:9/jwks.json' }],
    ['x5u', { alg: 'ES256', x5u: 'http://127.0.0.1:9/cert.pem' }],
    ['x5c', { alg: 'ES256', x5c: [PEM.replaceAll(/-----.*-----|\n/g, '')] }],
    ['kid, of a key that nobody knows', { kid: 'mine' }],
    ['kid, as a file', { kid: '/dev/null' }],
  ])('is not the one that its header names: %s', async (_, header) => {
    const { tokens } = await signedIn(service);
    expect(await isActive(signedByOneself(tokens.accessToken, header))).toBe(false);
    expect(await isActive(tokens.accessToken)).toBe(true);
  });

  it('is ours, whatever else the header names', async () => {
    const { tokens } = await signedIn(service);
    expect(await isActive(forge(tokens.accessToken, { header: { jwk: SYMMETRIC, jku: 'http://127.0.0.1:9/jwks.json' } }))).toBe(true);
  });
});
