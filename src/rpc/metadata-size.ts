import type { Metadata } from '@grpc/grpc-js';
import { IdentityError } from '../call/errors.ts';

/** Credentials are the largest thing that belongs into the metadata of a call, and an access token has less than 1 KiB. */
export const MAX_METADATA_BYTES = 16 * 1024;

/** What HTTP/2 adds to each entry when it counts (RFC 9113 §6.5.2). */
const ENTRY_OVERHEAD = 32;

/**
 * grpc-js has no such limit; Node's own, of 64 KiB, ends calls without a status. The few headers that gRPC itself needs do not count:
 * grpc-js has taken them out.
 */
export function refuseLargeMetadata(metadata: Metadata): void {
  const size = sizeOf(metadata);
  if (size <= MAX_METADATA_BYTES) return;
  throw new IdentityError({
    code: 'INVALID_ARGUMENT',
    reason: 'MESSAGE_TOO_LARGE',
    message: `the metadata of the call has ${size} bytes, more than ${MAX_METADATA_BYTES}`,
    metadata: { limit_bytes: String(MAX_METADATA_BYTES) },
  });
}

function sizeOf(metadata: Metadata): number {
  let size = 0;
  // As they were sent: binary values in base64.
  for (const [name, values] of Object.entries(metadata.toHttp2Headers())) {
    for (const value of Array.isArray(values) ? values : [String(values)]) size += name.length + value.length + ENTRY_OVERHEAD;
  }
  return size;
}
