import type { User } from '../../users/user.entity.ts';
import type { PersonalData } from './password-policy.ts';

/** What everybody may know of a user, so that no password is built from it. */
export function personalData({ email, username, profile }: User): PersonalData {
  return { email, username, names: [profile.firstName, profile.lastName ?? '', profile.fullName] };
}
