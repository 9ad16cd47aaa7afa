import type { Profile } from './profile.entity.ts';
import type { User } from './user.entity.ts';

/** What the API shows of a user. */
export interface UserView {
  readonly id: string;
  readonly email: string;
  readonly emailVerified: boolean;
  readonly username: string | null | undefined;
  readonly active: boolean;
  readonly hasPassword: boolean;
  /** Names, sorted. */
  readonly roles: readonly string[];
  readonly profile: Readonly<Pick<Profile, 'firstName' | 'lastName' | 'fullName' | 'bio' | 'birthDate' | 'avatarUrl' | 'phone'>>;
}

export function viewOf(user: User): UserView {
  const { id, email, username, active, hasPassword, profile } = user;
  return { id, email, emailVerified: user.isEmailVerified(), username, active, hasPassword, roles: user.roles ?? [], profile };
}
