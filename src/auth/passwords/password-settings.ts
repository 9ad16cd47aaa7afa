import { z } from 'zod';
import { Secret } from '../../secrets/secret.ts';
import { integer, type ValuesOf, webUrl } from '../../settings/variables.ts';

export const passwordVariables = {
  PASSWORD_PEPPER: z
    .string()
    .default('')
    .transform((pepper) => new Secret(pepper)),
  PASSWORD_HASH: z.enum(['bcrypt', 'argon2id'], { error: 'must be bcrypt or argon2id' }).default('bcrypt'),
  BCRYPT_COST: integer(12, 4, 16),
  PASSWORD_MIN_LENGTH: integer(8, 1, 256),
  PASSWORD_HISTORY: integer(5, 0, 24),
  BREACH_CHECK_URL: webUrl.transform((url) => url.replace(/\/*$/, '/')).optional(),
};

export interface PasswordSettings {
  readonly pepper: Secret;
  readonly scheme: 'bcrypt' | 'argon2id';
  readonly bcryptCost: number;
  readonly minLength: number;
  /** So many of the latest passwords are refused. */
  readonly history: number;
  /** Ranges of leaked passwords are asked for there; with a closing slash. Absent: not at all. */
  readonly breachCheckUrl: string | undefined;
}

export function passwordSettings(env: ValuesOf<typeof passwordVariables>): PasswordSettings {
  return {
    pepper: env.PASSWORD_PEPPER,
    scheme: env.PASSWORD_HASH,
    bcryptCost: env.BCRYPT_COST,
    minLength: env.PASSWORD_MIN_LENGTH,
    history: env.PASSWORD_HISTORY,
    breachCheckUrl: env.BREACH_CHECK_URL,
  };
}
