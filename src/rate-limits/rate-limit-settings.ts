import { integer, type ValuesOf } from '../settings/variables.ts';

export const rateLimitVariables = {
  RATE_LIMIT_PER_CALLER: integer(600_000, 0, 1_000_000_000),
  RATE_LIMIT_PER_USER: integer(600, 0, 1_000_000_000),
  RATE_LIMIT_PER_ADDRESS: integer(3000, 0, 1_000_000_000),
  RATE_LIMIT_PER_IDENTIFIER: integer(1000, 0, 1_000_000_000),
};

/** Calls a minute, over all replicas; 0 is no limit. */
export interface RateLimitSettings {
  /** Of a service account. */
  readonly perCaller: number;
  /** Of an end user, by whatever credentials. */
  readonly perUser: number;
  readonly perAddress: number;
  readonly perIdentifier: number;
}

export function rateLimitSettings(env: ValuesOf<typeof rateLimitVariables>): RateLimitSettings {
  return {
    perCaller: env.RATE_LIMIT_PER_CALLER,
    perUser: env.RATE_LIMIT_PER_USER,
    perAddress: env.RATE_LIMIT_PER_ADDRESS,
    perIdentifier: env.RATE_LIMIT_PER_IDENTIFIER,
  };
}
