import { list, someOf, type ValuesOf } from '../settings/variables.ts';

/** The fields of a profile by their names in the API; update masks use them, too. */
export const PROFILE_FIELDS = ['first_name', 'last_name', 'full_name', 'bio', 'birth_date', 'avatar_url', 'phone'] as const;

export type ProfileField = (typeof PROFILE_FIELDS)[number];

export const userVariables = {
  REQUIRED_PROFILE_FIELDS: list.pipe(someOf(PROFILE_FIELDS)),
};

export interface UserSettings {
  readonly requiredProfileFields: readonly ProfileField[];
}

export function userSettings(env: ValuesOf<typeof userVariables>): UserSettings {
  return { requiredProfileFields: env.REQUIRED_PROFILE_FIELDS };
}
