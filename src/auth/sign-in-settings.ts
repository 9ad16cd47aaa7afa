import { flag, integer, type ValuesOf } from '../settings/variables.ts';

export const signInVariables = {
  REQUIRE_VERIFIED_EMAIL: flag,
  REAUTHENTICATION_MAX_AGE: integer(600, 1, 86_400),
};

export interface SignInSettings {
  /** Nobody signs in before they have proved that the address is theirs. */
  readonly requireVerifiedEmail: boolean;
  /** The age in seconds up to which a sign-in is fresh enough for what makes, changes or removes a way in. */
  readonly reauthenticationMaxAge: number;
}

export function signInSettings(env: ValuesOf<typeof signInVariables>): SignInSettings {
  return { requireVerifiedEmail: env.REQUIRE_VERIFIED_EMAIL, reauthenticationMaxAge: env.REAUTHENTICATION_MAX_AGE };
}
