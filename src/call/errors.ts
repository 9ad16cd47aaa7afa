/** Canonical status codes of gRPC that this service answers with (google.rpc.Code). */
export type StatusName =
  | 'CANCELLED'
  | 'INVALID_ARGUMENT'
  | 'DEADLINE_EXCEEDED'
  | 'NOT_FOUND'
  | 'PERMISSION_DENIED'
  | 'ALREADY_EXISTS'
  | 'RESOURCE_EXHAUSTED'
  | 'FAILED_PRECONDITION'
  | 'ABORTED'
  | 'INTERNAL'
  | 'UNAVAILABLE'
  | 'UNAUTHENTICATED';

/** Names of the enum `identity.v1.ErrorReason`; `rpc/status.ts` checks at compile time that the two agree. */
export type Reason =
  | 'INVALID_FIELDS'
  | 'MALFORMED_MESSAGE'
  | 'MESSAGE_TOO_LARGE'
  | 'EMAIL_IMMUTABLE'
  | 'REQUEST_ID_REUSED'
  | 'USER_NOT_FOUND'
  | 'SESSION_NOT_FOUND'
  | 'ROLE_NOT_FOUND'
  | 'SERVICE_ACCOUNT_NOT_FOUND'
  | 'API_KEY_NOT_FOUND'
  | 'EMAIL_ALREADY_EXISTS'
  | 'USERNAME_ALREADY_EXISTS'
  | 'ROLE_ALREADY_EXISTS'
  | 'SERVICE_ACCOUNT_ALREADY_EXISTS'
  | 'CONCURRENT_UPDATE'
  | 'INVALID_CREDENTIALS'
  | 'INVALID_REFRESH_TOKEN'
  | 'EMAIL_NOT_VERIFIED'
  | 'TOO_MANY_ATTEMPTS'
  | 'PASSWORD_REUSED'
  | 'INVALID_VERIFICATION_TOKEN'
  | 'INVALID_RESET_TOKEN'
  | 'INVALID_EMAIL_CHANGE_TOKEN'
  | 'INVALID_REVERT_TOKEN'
  | 'TOO_MANY_API_KEYS'
  | 'EXPORT_TOO_LARGE'
  | 'CALLER_UNAUTHENTICATED'
  | 'REAUTHENTICATION_REQUIRED'
  | 'SESSION_REQUIRED'
  | 'PERMISSION_DENIED'
  | 'GRANT_EXCEEDS_CALLER'
  | 'ROLE_BUILT_IN'
  | 'RATE_LIMITED'
  | 'OVERLOADED'
  | 'DATABASE_UNAVAILABLE'
  | 'CALL_CANCELLED'
  | 'CALL_DEADLINE_EXCEEDED'
  | 'INTERNAL_ERROR';

/** One broken rule of one field; `field` is a snake_case path such as `profile.birth_date`. */
export interface FieldViolation {
  readonly field: string;
  readonly description: string;
}

export interface ErrorDetails {
  readonly fieldViolations?: readonly FieldViolation[];
  /** Sent as google.rpc.RetryInfo. */
  readonly retryAfterSeconds?: number;
}

export interface IdentityErrorOptions {
  readonly code: StatusName;
  readonly reason: Reason;
  /** Sent to the caller as it is: nothing in it may be secret or personal. */
  readonly message: string;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly details?: ErrorDetails;
  readonly cause?: unknown;
}

/** A failure that the contract names. Everything else that is thrown is a defect and reaches callers as INTERNAL. */
export class IdentityError extends Error {
  readonly code: StatusName;
  readonly reason: Reason;
  readonly metadata: Readonly<Record<string, string>>;
  readonly details: ErrorDetails;

  constructor({ code, reason, message, metadata = {}, details = {}, cause }: IdentityErrorOptions) {
    super(message, { cause });
    this.name = 'IdentityError';
    this.code = code;
    this.reason = reason;
    this.metadata = metadata;
    this.details = details;
  }
}

/** The meaning of a failing constraint of the database, by the constraint's name. */
export type ConstraintErrors = Readonly<Record<string, () => IdentityError>>;

/** INVALID_ARGUMENT with every violated field. */
export function invalidFields(fieldViolations: readonly FieldViolation[], reason: Reason = 'INVALID_FIELDS'): IdentityError {
  return new IdentityError({
    code: 'INVALID_ARGUMENT',
    reason,
    message: fieldViolations.map(({ field, description }) => `${field}: ${description}`).join('; '),
    details: { fieldViolations },
  });
}

export const databaseUnavailable = (cause: unknown) =>
  new IdentityError({
    code: 'UNAVAILABLE',
    reason: 'DATABASE_UNAVAILABLE',
    message: 'the database does not answer',
    details: { retryAfterSeconds: 1 },
    cause,
  });

export const rateLimited = (retryAfterSeconds: number) =>
  new IdentityError({ code: 'RESOURCE_EXHAUSTED', reason: 'RATE_LIMITED', message: 'too many calls', details: { retryAfterSeconds } });

export const concurrentUpdate = (cause?: unknown) =>
  new IdentityError({ code: 'ABORTED', reason: 'CONCURRENT_UPDATE', message: 'changed by somebody else at the same time', cause });
