import { type ConstraintErrors, IdentityError, invalidFields } from '../call/errors.ts';

/** One error for everything that must not be told apart. */
export const invalidCredentials = () =>
  new IdentityError({ code: 'UNAUTHENTICATED', reason: 'INVALID_CREDENTIALS', message: 'the credentials are not valid' });

export const invalidRefreshToken = () =>
  new IdentityError({ code: 'UNAUTHENTICATED', reason: 'INVALID_REFRESH_TOKEN', message: 'the refresh token is not valid' });

export const invalidVerificationToken = () =>
  new IdentityError({ code: 'UNAUTHENTICATED', reason: 'INVALID_VERIFICATION_TOKEN', message: 'the verification token is not valid' });

export const invalidResetToken = () =>
  new IdentityError({ code: 'UNAUTHENTICATED', reason: 'INVALID_RESET_TOKEN', message: 'the reset token is not valid' });

export const invalidEmailChangeToken = () =>
  new IdentityError({ code: 'UNAUTHENTICATED', reason: 'INVALID_EMAIL_CHANGE_TOKEN', message: 'the email change token is not valid' });

export const invalidRevertToken = () =>
  new IdentityError({ code: 'UNAUTHENTICATED', reason: 'INVALID_REVERT_TOKEN', message: 'the revert token is not valid' });

export const emailUnchanged = () => invalidFields([{ field: 'new_email', description: 'is the email that the user has' }]);

export const sessionRequired = () =>
  new IdentityError({
    code: 'PERMISSION_DENIED',
    reason: 'SESSION_REQUIRED',
    message: 'the call needs the access token of an end user: it is about the session of that',
  });

export const emailNotVerified = () =>
  new IdentityError({ code: 'FAILED_PRECONDITION', reason: 'EMAIL_NOT_VERIFIED', message: 'the email must be verified first' });

export const tooManyAttempts = (retryAfterSeconds: number) =>
  new IdentityError({
    code: 'RESOURCE_EXHAUSTED',
    reason: 'TOO_MANY_ATTEMPTS',
    message: 'too many failed attempts',
    details: { retryAfterSeconds },
  });

export const overloaded = () =>
  new IdentityError({
    code: 'RESOURCE_EXHAUSTED',
    reason: 'OVERLOADED',
    message: 'too many passwords are waiting to be hashed',
    details: { retryAfterSeconds: 1 },
  });

export const emailChangeConstraints: ConstraintErrors = {
  // As users_email_check: a letter that only JavaScript, or only PostgreSQL, knows how to lower-case.
  email_changes_new_email_check: () => invalidFields([{ field: 'new_email', description: 'has letters that cannot be lower-cased' }]),
};
