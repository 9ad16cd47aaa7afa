import type { Metadata } from '@grpc/grpc-js';
import { type Access, authorize } from '../call/authorize.ts';
import type { Credentials } from '../call/call.ts';
import { IdentityError, type StatusName } from '../call/errors.ts';
import { requireFreshSignIn } from '../call/fresh-sign-in.ts';
import { type Awaitable, attempt, when } from '../concurrency/awaitable.ts';
import type { OpenCall, ServerCall } from './open-call.ts';
import { addressOf, dnsNamesOf } from './peer.ts';
import type { Runtime } from './runtime.ts';

/** Credentials are the largest thing that belongs into the metadata of a call, and an access token has less than 1 KiB. */
export const MAX_METADATA_BYTES = 16 * 1024;

/** HTTP/2 adds so many bytes to each entry when it counts (RFC 9113 §6.5.2). */
const ENTRY_OVERHEAD = 32;

/** A call that ends so before its use case was refused for who made it. */
const REFUSALS: ReadonlySet<StatusName> = new Set(['UNAUTHENTICATED', 'PERMISSION_DENIED']);

/** Lets a call in, with who makes it; throws unless they may make it, now. */
export function admit(access: Access, runtime: Runtime, call: OpenCall, grpcCall: ServerCall, request: () => unknown): Awaitable<void> {
  refuseLargeMetadata(grpcCall.metadata);
  return when(recognise(access, runtime, call, grpcCall, request), () => runtime.limit(call));
}

/** Finds out who makes the call; throws, and writes it down, unless they may. */
export function recognise(access: Access, runtime: Runtime, call: OpenCall, grpcCall: ServerCall, request: () => unknown): Awaitable<void> {
  return attempt(
    () =>
      when(runtime.identify(credentialsOf(grpcCall)), (caller) => {
        call.caller = caller;
        authorize(access, caller, request);
        requireFreshSignIn(call, request, runtime.reauthenticationMaxAge);
      }),
    (error) => {
      // Not a request that could not be decoded, for one.
      if (error instanceof IdentityError && REFUSALS.has(error.code)) runtime.refused(call, grpcCall.getPath(), error);
    },
  );
}

function credentialsOf(grpcCall: ServerCall): Credentials {
  const authorization = grpcCall.metadata.get('authorization')[0];
  return {
    authorization: typeof authorization === 'string' ? authorization : undefined,
    certificateNames: () => dnsNamesOf(grpcCall.getAuthContext().sslPeerCertificate),
    peerAddress: () => addressOf(grpcCall.getPeer()),
  };
}

/**
 * grpc-js has no such limit; Node's own, of 64 KiB, ends calls without a status. The few headers that gRPC itself needs do not count:
 * grpc-js has taken them out.
 */
function refuseLargeMetadata(metadata: Metadata): void {
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
