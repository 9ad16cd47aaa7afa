import { IdentityError } from '../call/errors.ts';

/** One error for everything that must not be told apart. */
export const invalidCredentials = () =>
  new IdentityError({ code: 'UNAUTHENTICATED', reason: 'INVALID_CREDENTIALS', message: 'the credentials are not valid' });

export const invalidRefreshToken = () =>
  new IdentityError({ code: 'UNAUTHENTICATED', reason: 'INVALID_REFRESH_TOKEN', message: 'the refresh token is not valid' });

export const invalidVerificationToken = () =>
  new IdentityError({ code: 'UNAUTHENTICATED', reason: 'INVALID_VERIFICATION_TOKEN', message: 'the verification token is not valid' });

export const invalidResetToken = () =>
  new IdentityError({ code: 'UNAUTHENTICATED', reason: 'INVALID_RESET_TOKEN', message: 'the reset token is not valid' });

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
