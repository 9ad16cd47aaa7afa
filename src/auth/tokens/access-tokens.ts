import { createHmac, createSecretKey, hash, type KeyObject, randomUUID } from 'node:crypto';
import jwt from 'jsonwebtoken';
import { z } from 'zod';
import { uuid } from '../../call/validation.ts';
import { BoundedMap } from '../../concurrency/bounded-map.ts';
import type { Secret } from '../../secrets/secret.ts';
import { REMEMBERED_SESSIONS } from '../../sessions/activity.ts';
import type { JwtSettings } from './token-settings.ts';

/** RFC 9068 §2.1: tells an access token from any other JWT signed with the same key. */
const TYPE = 'at+jwt';

/**
 * As `issue` makes them. A signature does not vouch for their form: whoever else holds the secret may sign anything, and a `sid` that is
 * no UUID or an `exp` that is no integer would be an error in a query or an answer.
 */
const claimsSchema = z.object({
  sub: uuid,
  email: z.string(),
  sid: uuid,
  jti: uuid,
  iss: z.string(),
  aud: z.union([z.string(), z.array(z.string())]).transform((aud) => (typeof aud === 'string' ? [aud] : aud)),
  iat: z.int(),
  exp: z.int(),
  amr: z.array(z.string()),
  auth_time: z.int(),
  client_id: z.string().optional(),
});

/** The claims of an access token whose signature was checked. They do not tell whether its session still lives. */
export type AccessClaims = z.output<typeof claimsSchema>;

export interface AccessTokenSubject {
  readonly userId: string;
  readonly email: string;
  readonly emailVerified: boolean;
  readonly sessionId: string;
  readonly authMethods: readonly string[];
  readonly authTime: Date;
  readonly sessionEnd: Date;
  readonly clientId: string | undefined;
  /** Names. */
  readonly roles: readonly string[];
}

/** Signs and verifies access tokens (RFC 9068). */
export class AccessTokens {
  readonly ttl: number;
  readonly #settings: JwtSettings;
  readonly #key: KeyObject;
  readonly #header: string;
  /** A token is used for many calls. */
  readonly #verified = new BoundedMap<string, AccessClaims>(REMEMBERED_SESSIONS);

  constructor(settings: JwtSettings, secretKey: string) {
    this.ttl = settings.accessTokenTtl;
    this.#settings = settings;
    this.#key = createSecretKey(Buffer.from(secretKey));
    const kid = hash('sha256', `kid:${secretKey}`, 'base64url').slice(0, 16);
    this.#header = encode({ alg: settings.algorithm, typ: TYPE, kid });
  }

  issue(subject: AccessTokenSubject, now: Date): string {
    const { userId, email, emailVerified, sessionId, authMethods, authTime, sessionEnd, clientId, roles } = subject;
    const { issuer, audience } = this.#settings;
    const iat = seconds(now);
    const claims = {
      sub: userId,
      email,
      email_verified: emailVerified,
      iat,
      exp: Math.min(iat + this.ttl, seconds(sessionEnd)),
      jti: randomUUID(),
      iss: issuer,
      aud: audience,
      sid: sessionId,
      amr: authMethods,
      auth_time: seconds(authTime),
      client_id: clientId,
      roles,
    };
    const signed = `${this.#header}.${encode(claims)}`;
    return `${signed}.${this.#signatureOf(signed)}`;
  }

  /** RFC 7515 §5.1. Verifying is left to a library that has seen every attack; to sign what we have made ourselves takes none. */
  #signatureOf(signed: string): string {
    switch (this.#settings.algorithm) {
      case 'HS256':
        return createHmac('sha256', this.#key).update(signed).digest('base64url');
    }
  }

  /** Undefined for anything that is not an unexpired access token of ours, whatever the reason. */
  verify(token: string, now: Date): AccessClaims | undefined {
    const remembered = this.#verified.get(token);
    if (remembered) return remembered.exp > seconds(now) ? remembered : undefined;
    const claims = this.#verify(token, now);
    if (claims) this.#verified.set(token, claims);
    return claims;
  }

  #verify(token: string, now: Date): AccessClaims | undefined {
    const { algorithm, issuer, audience } = this.#settings;
    try {
      const { header, payload } = jwt.verify(token, this.#key, {
        complete: true,
        algorithms: [algorithm],
        issuer,
        audience: [...audience] as [string, ...string[]],
        clockTimestamp: seconds(now),
      });
      // We know no extensions, so any that is critical makes the token invalid (RFC 7515 §4.1.11); jsonwebtoken does not look.
      const ours = header.typ === TYPE && !('crit' in header);
      return ours ? claimsSchema.safeParse(payload).data : undefined;
    } catch {
      return undefined;
    }
  }
}

function encode(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url');
}

function seconds(date: Date): number {
  return Math.floor(date.getTime() / 1000);
}

/** The tokens that a caller gets after a login or a refresh. */
export interface IssuedTokens {
  readonly accessToken: string;
  readonly expiresIn: number;
  readonly refreshToken: string;
  readonly refreshExpiresIn: number;
  readonly sessionId: string;
  /** Given at a sign-in; a refresh gives none. */
  readonly deviceToken?: Secret;
}

/** The session that the tokens are for, and its user. */
export interface TokenSubject {
  readonly id: string;
  readonly authMethods: readonly string[];
  readonly clientId?: string | null;
  readonly createdAt: Date;
  readonly reauthenticatedAt?: Date | null;
  readonly expiresAt: Date;
  readonly user: {
    readonly id: string;
    readonly email: string;
    readonly emailVerifiedAt?: Date | null;
    readonly roles?: readonly string[] | null;
  };
}

export function issueTokens(accessTokens: AccessTokens, session: TokenSubject, refreshToken: string, now: Date): IssuedTokens {
  const { id: sessionId, expiresAt } = session;
  const refreshExpiresIn = Math.max(0, Math.floor((expiresAt.getTime() - now.getTime()) / 1000));
  return {
    accessToken: accessTokens.issue(subjectOf(session), now),
    expiresIn: Math.min(accessTokens.ttl, refreshExpiresIn),
    refreshToken,
    refreshExpiresIn,
    sessionId,
  };
}

function subjectOf(session: TokenSubject): AccessTokenSubject {
  const { id: sessionId, user, authMethods, clientId, createdAt, reauthenticatedAt, expiresAt } = session;
  return {
    userId: user.id,
    email: user.email,
    emailVerified: user.emailVerifiedAt != null,
    sessionId,
    authMethods,
    authTime: reauthenticatedAt ?? createdAt,
    sessionEnd: expiresAt,
    clientId: clientId ?? undefined,
    roles: user.roles ?? [],
  };
}
