import { createSecretKey, hash, type KeyObject, randomUUID } from 'node:crypto';
import jwt from 'jsonwebtoken';
import { z } from 'zod';
import type { Config } from '../../config.ts';

/** RFC 9068 §2.1: tells an access token from any other JWT signed with the same key. */
const TYPE = 'at+jwt';

const claimsSchema = z.object({
  sub: z.string(),
  email: z.string(),
  sid: z.string(),
  jti: z.string(),
  iss: z.string(),
  aud: z.union([z.string(), z.array(z.string())]).transform((aud) => (typeof aud === 'string' ? [aud] : aud)),
  exp: z.number(),
});

/** What an access token says, after its signature was checked. Whether its session still lives is another question. */
export type AccessClaims = z.output<typeof claimsSchema>;

export interface AccessTokenSubject {
  readonly userId: string;
  readonly email: string;
  readonly sessionId: string;
  readonly authMethods: readonly string[];
  readonly authTime: Date;
}

/** Signs and verifies access tokens (RFC 9068). */
export class AccessTokens {
  readonly ttl: number;
  readonly #settings: Config['jwt'];
  readonly #key: KeyObject;
  readonly #keyId: string;

  constructor(settings: Config['jwt'], secretKey: string) {
    this.ttl = settings.accessTokenTtl;
    this.#settings = settings;
    this.#key = createSecretKey(Buffer.from(secretKey));
    this.#keyId = hash('sha256', `kid:${secretKey}`, 'base64url').slice(0, 16);
  }

  issue({ userId, email, sessionId, authMethods, authTime }: AccessTokenSubject, now: Date): string {
    const { algorithm, issuer, audience } = this.#settings;
    const iat = seconds(now);
    const claims = {
      sub: userId,
      email,
      iat,
      exp: iat + this.ttl,
      jti: randomUUID(),
      iss: issuer,
      aud: audience,
      sid: sessionId,
      amr: authMethods,
      auth_time: seconds(authTime),
      roles: [],
    };
    return jwt.sign(claims, this.#key, { algorithm, header: { typ: TYPE, alg: algorithm, kid: this.#keyId } });
  }

  /** Undefined for anything that is not an unexpired access token of ours, whatever the reason. */
  verify(token: string, now: Date): AccessClaims | undefined {
    const { algorithm, issuer, audience } = this.#settings;
    try {
      const { header, payload } = jwt.verify(token, this.#key, {
        complete: true,
        algorithms: [algorithm],
        issuer,
        audience: [...audience] as [string, ...string[]],
        clockTimestamp: seconds(now),
      });
      return header.typ === TYPE ? claimsSchema.safeParse(payload).data : undefined;
    } catch {
      return undefined;
    }
  }
}

function seconds(date: Date): number {
  return Math.floor(date.getTime() / 1000);
}
