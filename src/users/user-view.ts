import type { User } from './user.entity.ts';

/** A user as the API shows them. It is flat, so that a row of the database is one. */
export interface UserView {
  readonly id: string;
  readonly email: string;
  readonly emailVerified: boolean;
  readonly username: string | null | undefined;
  readonly active: boolean;
  readonly hasPassword: boolean;
  /** Names, sorted. */
  readonly roles: string[];
  readonly firstName: string;
  readonly lastName: string | null | undefined;
  readonly fullName: string;
  readonly bio: string | null | undefined;
  /** `YYYY-MM-DD`. */
  readonly birthDate: string | null | undefined;
  readonly avatarUrl: string | null | undefined;
  readonly phone: string | null | undefined;
}

export function viewOf(user: User): UserView {
  const { id, email, username, active, hasPassword } = user;
  const { firstName, lastName, fullName, bio, birthDate, avatarUrl, phone } = user.profile;
  return {
    id,
    email,
    emailVerified: user.isEmailVerified(),
    username,
    active,
    hasPassword,
    roles: user.roles ?? [],
    firstName,
    lastName,
    fullName,
    bio,
    birthDate,
    avatarUrl,
    phone,
  };
}
