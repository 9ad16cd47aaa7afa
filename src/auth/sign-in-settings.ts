import { flag, type ValuesOf } from '../settings/variables.ts';

export const signInVariables = {
  REQUIRE_VERIFIED_EMAIL: flag,
};

export interface SignInSettings {
  /** Nobody signs in before they have proved that the address is theirs. */
  readonly requireVerifiedEmail: boolean;
}

export function signInSettings(env: ValuesOf<typeof signInVariables>): SignInSettings {
  return { requireVerifiedEmail: env.REQUIRE_VERIFIED_EMAIL };
}
