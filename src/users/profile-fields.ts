/** The fields of a profile by their names in the API; `REQUIRED_PROFILE_FIELDS` and update masks use them. */
export const PROFILE_FIELDS = ['first_name', 'last_name', 'full_name', 'bio', 'birth_date', 'avatar_url', 'phone'] as const;

export type ProfileField = (typeof PROFILE_FIELDS)[number];
