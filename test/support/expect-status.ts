import { type ServiceError, status } from '@grpc/grpc-js';
import { expect } from 'vitest';
import type { Reason, StatusName } from '../../src/call/errors.ts';
import { BadRequest, ErrorInfo, RequestInfo, RetryInfo } from '../../src/gen/google/rpc/error_details.ts';
import { Status } from '../../src/gen/google/rpc/status.ts';

/** A failure as a caller sees it, with its details decoded. */
export interface Failure {
  readonly code: string;
  readonly message: string;
  readonly reason: string | undefined;
  readonly domain: string | undefined;
  readonly metadata: Readonly<Record<string, string>>;
  readonly requestId: string | undefined;
  /** The violated fields, in the order sent. */
  readonly fields: readonly string[];
  readonly descriptions: readonly string[];
  readonly retryAfterSeconds: number | undefined;
}

/** Expects that a call fails with this code and reason; returns all that it says. */
export async function expectStatus(call: Promise<unknown>, code: StatusName, reason: Reason): Promise<Failure> {
  const failure = await failureOf(call);
  expect({ code: failure.code, reason: failure.reason, domain: failure.domain }).toEqual({ code, reason, domain: 'identity.v1' });
  return failure;
}

/** Expects INVALID_ARGUMENT for exactly these fields. */
export async function expectInvalid(
  call: Promise<unknown>,
  fields: readonly string[],
  reason: Reason = 'INVALID_FIELDS',
): Promise<Failure> {
  const failure = await expectStatus(call, 'INVALID_ARGUMENT', reason);
  expect([...failure.fields].sort()).toEqual([...fields].sort());
  return failure;
}

/** How a call fails; throws where it succeeds. */
export async function failureOf(call: Promise<unknown>): Promise<Failure> {
  const response = await call.then(
    (value) => ({ value }),
    (error: ServiceError) => ({ error }),
  );
  if (!('error' in response)) throw new Error(`the call succeeded: ${JSON.stringify(response.value)}`);
  return decode(response.error);
}

export function decode(error: ServiceError): Failure {
  const [bytes] = error.metadata?.get('grpc-status-details-bin') ?? [];
  const details = Buffer.isBuffer(bytes) ? Status.decode(bytes).details : [];
  const find = <T>(type: string, decoder: { decode(value: Uint8Array): T }): T | undefined => {
    const detail = details.find(({ typeUrl }) => typeUrl === `type.googleapis.com/google.rpc.${type}`);
    return detail && decoder.decode(detail.value);
  };
  const info = find('ErrorInfo', ErrorInfo);
  const violations = find('BadRequest', BadRequest)?.fieldViolations ?? [];
  return {
    code: status[error.code],
    message: error.details,
    reason: info?.reason,
    domain: info?.domain,
    metadata: Object.fromEntries(info?.metadata ?? []),
    requestId: find('RequestInfo', RequestInfo)?.requestId,
    fields: violations.map(({ field }) => field),
    descriptions: violations.map(({ description }) => description),
    retryAfterSeconds: find('RetryInfo', RetryInfo)?.retryDelay?.seconds,
  };
}
