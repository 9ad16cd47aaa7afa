import { z } from 'zod';
import { Secret } from '../../secrets/secret.ts';
import { integer, list, type ValuesOf } from '../../settings/variables.ts';

const DAY = 86_400;

export const tokenVariables = {
  JWT_SECRET_KEY: z
    .string()
    .refine((key) => Buffer.byteLength(key) >= 32, 'must be at least 32 bytes')
    .transform((key) => new Secret(key))
    .optional(),
  JWT_ALGORITHM: z.enum(['HS256'], { error: 'must be HS256' }).default('HS256'),
  JWT_ISSUER: z.string().default('identity'),
  JWT_AUDIENCE: list.transform((audience) => (audience.length > 0 ? audience : ['identity'])),
  ACCESS_TOKEN_TTL: integer(900, 1, DAY),
  REFRESH_TOKEN_TTL: integer(7 * DAY, 1, 3650 * DAY),
  REFRESH_GRACE: integer(10, 0, 300),
};

/** Durations are seconds. */
export interface TokenSettings {
  readonly jwt: JwtSettings;
  readonly refresh: { readonly ttl: number; readonly grace: number };
}

export interface JwtSettings {
  readonly algorithm: 'HS256';
  /** At least 32 bytes (RFC 7518 §3.2). Absent only beside the embedded database, which keeps one of its own. */
  readonly secretKey: Secret | undefined;
  readonly issuer: string;
  readonly audience: readonly string[];
  readonly accessTokenTtl: number;
}

export function tokenSettings(env: ValuesOf<typeof tokenVariables>): TokenSettings {
  return {
    jwt: {
      algorithm: env.JWT_ALGORITHM,
      secretKey: env.JWT_SECRET_KEY,
      issuer: env.JWT_ISSUER,
      audience: env.JWT_AUDIENCE,
      accessTokenTtl: env.ACCESS_TOKEN_TTL,
    },
    refresh: { ttl: env.REFRESH_TOKEN_TTL, grace: env.REFRESH_GRACE },
  };
}
