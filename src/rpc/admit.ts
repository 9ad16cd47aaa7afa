import { type Access, authorize } from '../call/authorize.ts';
import type { Credentials } from '../call/call.ts';
import { IdentityError, type StatusName } from '../call/errors.ts';
import { type Awaitable, attempt, when } from '../concurrency/awaitable.ts';
import { refuseLargeMetadata } from './metadata-size.ts';
import type { OpenCall, ServerCall } from './open-call.ts';
import { dnsNamesOf } from './peer.ts';
import type { Runtime } from './runtime.ts';

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
  };
}
