import type { ConstraintErrors } from '../call/errors.ts';
import { IdentityError, invalidFields } from '../call/errors.ts';

export const userNotFound = () => new IdentityError({ code: 'NOT_FOUND', reason: 'USER_NOT_FOUND', message: 'no such user' });

export const emailAlreadyExists = () =>
  new IdentityError({ code: 'ALREADY_EXISTS', reason: 'EMAIL_ALREADY_EXISTS', message: 'the email belongs to another user' });

export const usernameAlreadyExists = () =>
  new IdentityError({ code: 'ALREADY_EXISTS', reason: 'USERNAME_ALREADY_EXISTS', message: 'the username belongs to another user' });

export const staleEtag = () =>
  new IdentityError({ code: 'ABORTED', reason: 'CONCURRENT_UPDATE', message: 'the etag is stale: the user was changed in between' });

export const emailImmutable = (field: string) =>
  invalidFields([{ field, description: 'the email cannot be changed by UpdateUser: see RequestEmailChange' }], 'EMAIL_IMMUTABLE');

export const requestIdReused = () =>
  invalidFields([{ field: 'request_id', description: 'was used before, for another email' }], 'REQUEST_ID_REUSED');

export const exportTooLarge = () =>
  new IdentityError({
    code: 'FAILED_PRECONDITION',
    reason: 'EXPORT_TOO_LARGE',
    message: 'more is held about the user than fits into one answer',
  });

/** The database decides who was first; these say what its refusal means. */
export const userConstraints: ConstraintErrors = {
  users_email_key: emailAlreadyExists,
  users_username_key: usernameAlreadyExists,
  users_request_id_key: requestIdReused,
  // Lower-casing by JavaScript and by PostgreSQL may disagree on a letter that only one of them knows.
  users_email_check: () => invalidFields([{ field: 'email', description: 'has letters that cannot be lower-cased' }]),
  profiles_birth_date_check: () => invalidFields([{ field: 'profile.birth_date', description: 'must not be in the future' }]),
};
