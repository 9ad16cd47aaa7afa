import { createHmac } from 'node:crypto';
import { SECRET_KEY } from './service.ts';

type Json = Record<string, unknown>;

export interface AccessTokenParts {
  readonly header: Json;
  readonly claims: Json;
  /** Whether the signature is HMAC-SHA256 with the service's secret. */
  readonly signed: boolean;
}

/** Reads an access token by RFC 7515, without any code of the service. */
export function decodeAccessToken(token: string): AccessTokenParts {
  const [header = '', claims = ''] = token.split('.');
  const json = (part: string): Json => JSON.parse(Buffer.from(part, 'base64url').toString());
  return { header: json(header), claims: json(claims), signed: token === `${header}.${claims}.${hmac(`${header}.${claims}`)}` };
}

export interface Forgery {
  /** Instead of the token's; undefined leaves one out. */
  readonly claims?: Json;
  readonly header?: Json;
  readonly secret?: string;
  readonly hash?: string;
}

/** The token with other claims, another header or another key, signed anew. */
export function forge(token: string, { claims, header, secret, hash }: Forgery = {}): string {
  const original = decodeAccessToken(token);
  return signText(JSON.stringify({ ...original.header, ...header }), JSON.stringify({ ...original.claims, ...claims }), secret, hash);
}

/** Signs whatever it is given, as a library would refuse to. */
export function signText(header: string, payload: string, secret?: string, hash?: string): string {
  const input = [header, payload].map((part) => Buffer.from(part).toString('base64url')).join('.');
  return `${input}.${hmac(input, secret, hash)}`;
}

function hmac(input: string, secret: string = SECRET_KEY, hash = 'sha256'): string {
  return createHmac(hash, secret).update(input).digest('base64url');
}
