import { Metadata, status } from '@grpc/grpc-js';
import {
  type ConstraintErrors,
  concurrentUpdate,
  databaseUnavailable,
  type FieldViolation,
  IdentityError,
  type Reason,
  type StatusName,
} from '../call/errors.ts';
import { databaseFailure } from '../database/sqlstate.ts';
import type { Any } from '../gen/google/protobuf/any.ts';
import { BadRequest, ErrorInfo, RequestInfo, RetryInfo } from '../gen/google/rpc/error_details.ts';
import { Status } from '../gen/google/rpc/status.ts';
import type { ErrorReason } from '../gen/identity/v1/error_reason.ts';

/** `Reason` and the enum of the API name the same reasons: this does not compile otherwise. */
type ReasonOfApi = Exclude<keyof typeof ErrorReason, 'ERROR_REASON_UNSPECIFIED' | 'UNRECOGNIZED'>;
const REASONS_AGREE: [Reason] extends [ReasonOfApi] ? ([ReasonOfApi] extends [Reason] ? true : never) : never = true;
void REASONS_AGREE;

const DOMAIN = 'identity.v1';

/**
 * In characters. A status travels in headers, and a client that gets too many of those ends the connection with all calls on it: a
 * thousand wrong ids must not be answered with a thousand violations. The fields of any one message fit by far.
 */
const MAX_MESSAGE_LENGTH = 500;
const MAX_VIOLATIONS_LENGTH = 4000;

export interface CallOutcome {
  readonly signal: AbortSignal;
  readonly deadlinePassed: boolean;
}

/** A failure as gRPC sends it (AIP-193). */
export interface GrpcStatus {
  readonly code: status;
  readonly details: string;
  readonly metadata: Metadata;
  /** Not sent: it is among the details. */
  readonly reason: Reason;
}

const cancelled = () => new IdentityError({ code: 'CANCELLED', reason: 'CALL_CANCELLED', message: 'the call was cancelled' });

const deadlineExceeded = () =>
  new IdentityError({ code: 'DEADLINE_EXCEEDED', reason: 'CALL_DEADLINE_EXCEEDED', message: 'the deadline passed' });

/** The constant text is all that a caller learns about a defect: the error itself may quote data of other users. */
const internal = (cause: unknown) => new IdentityError({ code: 'INTERNAL', reason: 'INTERNAL_ERROR', message: 'internal error', cause });

/** The one place where errors become statuses. */
export function translate(error: unknown, { signal, deadlinePassed }: CallOutcome, constraints: ConstraintErrors): IdentityError {
  if (error instanceof IdentityError) return error;
  if (signal.aborted) return deadlinePassed ? deadlineExceeded() : cancelled();
  const failure = databaseFailure(error);
  switch (failure?.kind) {
    case 'unique':
    case 'check':
      return constraints[failure.constraint]?.() ?? internal(error);
    case 'conflict':
      return concurrentUpdate(error);
    case 'unavailable':
      return databaseUnavailable(error);
    // PostgreSQL cancels only for us (abort) or for an operator; the former was dealt with above.
    case 'cancelled':
      return databaseUnavailable(error);
    default:
      return internal(error);
  }
}

/** Packs an error into a status with its details, for the `grpc-status-details-bin` trailer. */
export function toGrpcStatus(error: IdentityError, requestId: string): GrpcStatus {
  const code = status[error.code satisfies StatusName];
  // Half a surrogate pair makes grpc-js throw where nobody can catch it; and cutting can leave one.
  const message = cut(error.message).toWellFormed();
  const details = [
    pack(
      'google.rpc.ErrorInfo',
      ErrorInfo.encode({ reason: error.reason, domain: DOMAIN, metadata: new Map(Object.entries(error.metadata)) }),
    ),
    pack('google.rpc.RequestInfo', RequestInfo.encode({ requestId, servingData: '' })),
    ...badRequest(error.details.fieldViolations),
    ...retryInfo(error.details.retryAfterSeconds),
  ];
  const metadata = new Metadata();
  metadata.set('grpc-status-details-bin', Buffer.from(Status.encode({ code, message, details }).finish()));
  return { code, details: message, metadata, reason: error.reason };
}

function cut(message: string): string {
  return message.length <= MAX_MESSAGE_LENGTH ? message : `${message.slice(0, MAX_MESSAGE_LENGTH)}...`;
}

function badRequest(violations: readonly FieldViolation[] = []): Any[] {
  if (violations.length === 0) return [];
  const fieldViolations = [...asManyAsFit(violations)].map(({ field, description }) => ({
    field,
    description,
    reason: '',
    localizedMessage: undefined,
  }));
  return [pack('google.rpc.BadRequest', BadRequest.encode({ fieldViolations }))];
}

function* asManyAsFit(violations: readonly FieldViolation[]): Generator<FieldViolation> {
  let length = 0;
  for (const violation of violations) {
    length += violation.field.length + violation.description.length;
    if (length > MAX_VIOLATIONS_LENGTH) return;
    yield violation;
  }
}

function retryInfo(seconds: number | undefined): Any[] {
  if (seconds === undefined) return [];
  return [pack('google.rpc.RetryInfo', RetryInfo.encode({ retryDelay: { seconds: Math.ceil(seconds), nanos: 0 } }))];
}

function pack(type: string, message: { finish(): Uint8Array }): Any {
  return { typeUrl: `type.googleapis.com/${type}`, value: Buffer.from(message.finish()) };
}
