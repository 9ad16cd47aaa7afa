import type { handleUnaryCall, MethodDefinition, ServerUnaryCall } from '@grpc/grpc-js';
import type { z } from 'zod';
import type { Access } from '../call/authorize.ts';
import { actorOf, type Call } from '../call/call.ts';
import { IdentityError } from '../call/errors.ts';
import { parse } from '../call/validation.ts';
import { type Awaitable, attempt, when } from '../concurrency/awaitable.ts';
import type { LoggedCall } from '../observability/log.ts';
import { admit } from './admit.ts';
import { CallEnd } from './call-end.ts';
import { releaseCall } from './ended-calls.ts';
import { OpenCall, type ServerCall } from './open-call.ts';
import type { Runtime } from './runtime.ts';
import { type GrpcStatus, toGrpcStatus, translate } from './status.ts';
import { traceParentOf } from './trace-call.ts';
import { MAX_REQUEST_BYTES, requestTooLarge } from './transport-errors.ts';

/** A call without a deadline gets this one: nobody waits for ever, so no work may go on for ever. */
const DEFAULT_DEADLINE_MS = 10_000;

/** An answer that was encoded before, because it is often the same. */
export class Encoded<Response> {
  readonly bytes: Buffer;
  /** For the compiler alone. */
  declare readonly response: Response;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }
}

/** The wiring of one RPC: from request to response, both as the generated code has them. */
export interface Rpc<Request, Response> {
  readonly answer: (call: Call, request: Request) => Awaitable<Response | Encoded<Response>>;
}

/** An RPC whose request is checked by `schema` before `run` sees it. */
export function rpc<S extends z.ZodType, Response>(
  schema: S,
  run: (call: Call, input: z.output<S>) => Awaitable<Response | Encoded<Response>>,
): Rpc<z.input<S>, Response> {
  return { answer: (call, request) => run(call, parse(schema, request)) };
}

/** A method together with who may call it and what answers it. */
export interface Endpoint<Request, Response> {
  readonly method: MethodDefinition<Request, Response>;
  readonly access: Access;
  readonly rpc: Rpc<Request, Response>;
}

/**
 * Lets grpc-js call an RPC that answers with a promise. Without this, a rejection would go unhandled and an error without a code would
 * be sent as UNKNOWN with its message.
 *
 * Messages pass grpc-js as bytes: a request that cannot be decoded is the caller's mistake (INVALID_ARGUMENT) and not, as grpc-js has it,
 * INTERNAL; an answer that cannot be encoded is a defect like any other.
 */
export function unaryHandler<Request, Response>(endpoint: Endpoint<Request, Response>, runtime: Runtime): handleUnaryCall<Buffer, Buffer> {
  return (grpcCall, callback) => {
    const end = new CallEnd(grpcCall, DEFAULT_DEADLINE_MS, () => releaseCall(grpcCall));
    const call = new OpenCall(grpcCall, end, endpoint.access, runtime);
    const succeed = (response: Buffer) => {
      end.disarm();
      observe(runtime, call, grpcCall);
      callback(null, response);
    };
    const failWith = (error: unknown) => {
      end.disarm();
      fail(error, grpcCall, call, end.deadlinePassed(), runtime, callback);
    };
    let response: Awaitable<Buffer>;
    try {
      response = serve(endpoint, runtime, call, grpcCall);
    } catch (error) {
      failWith(error);
      return;
    }
    if (response instanceof Promise) response.then(succeed, failWith);
    else succeed(response);
  };
}

/**
 * The size of the metadata, then caller, permission, validation, use case: in this order, so that a refusal tells nothing about what the
 * request names (AIP-211).
 */
function serve<Request, Response>(
  { method, access, rpc }: Endpoint<Request, Response>,
  runtime: Runtime,
  call: OpenCall,
  grpcCall: ServerUnaryCall<Buffer, Buffer>,
): Awaitable<Buffer> {
  let request: Request | undefined;
  const decoded = () => {
    request ??= decode(method, grpcCall.request);
    return request;
  };
  return when(admit(access, runtime, call, grpcCall, decoded), () =>
    attempt(
      () =>
        when(rpc.answer(call, decoded()), (response) =>
          response instanceof Encoded ? response.bytes : method.responseSerialize(response),
        ),
      (error) => {
        // A use case refuses who would grant more than they have.
        if (error instanceof IdentityError && error.code === 'PERMISSION_DENIED') runtime.refused(call, grpcCall.getPath(), error);
      },
    ),
  );
}

export function decode<Request, Response>(method: MethodDefinition<Request, Response>, bytes: Buffer): Request {
  if (bytes.length > MAX_REQUEST_BYTES) throw requestTooLarge();
  try {
    return method.requestDeserialize(bytes);
  } catch (cause) {
    throw new IdentityError({ code: 'INVALID_ARGUMENT', reason: 'MALFORMED_MESSAGE', message: 'the request cannot be decoded', cause });
  }
}

export function fail(
  thrown: unknown,
  grpcCall: ServerCall,
  call: OpenCall,
  deadlinePassed: boolean,
  runtime: Runtime,
  send: (status: GrpcStatus) => void,
): void {
  const { constraints, log } = runtime;
  const error = translate(thrown, { signal: call.signal, deadlinePassed }, constraints);
  observe(runtime, call, grpcCall, error);
  const parent = () => traceParentOf(grpcCall.metadata);
  log.failedCall(error, { ...loggedCall(call, grpcCall), parent });
  send(toGrpcStatus(error, call.requestId));
}

function loggedCall(call: OpenCall, grpcCall: ServerCall): LoggedCall {
  return { rpc: grpcCall.getPath(), requestId: call.requestId, caller: actorOf(call), milliseconds: performance.now() - call.begunAt };
}

/** Tells whoever measures, or reads of, calls that this one has ended. */
export function observe({ observe, log }: Runtime, call: OpenCall, grpcCall: ServerCall, error?: IdentityError): void {
  if (!error) log.servedCall?.(loggedCall(call, grpcCall));
  observe?.(grpcCall.getPath(), error?.code ?? 'OK', error?.reason, (performance.now() - call.begunAt) / 1000);
}
