import type { handleUnaryCall, MethodDefinition, ServerUnaryCall, sendUnaryData } from '@grpc/grpc-js';
import type { EntityManager } from '@mikro-orm/postgresql';
import type { z } from 'zod';
import { IdentityError } from '../errors.ts';
import type { Call, Caller } from './call.ts';
import type { Log } from './log.ts';
import { requestIdOf } from './request-id.ts';
import { type ConstraintErrors, toGrpcStatus, translate } from './status.ts';
import { parse } from './validation.ts';

/** Requests larger than this are refused; none of the messages of the API comes near it. */
export const MAX_REQUEST_BYTES = 256 * 1024;

/** What every call needs and no feature knows. */
export interface Runtime {
  readonly em: EntityManager;
  readonly now: () => Date;
  readonly log: Log;
  readonly constraints: ConstraintErrors;
  /** Who sends this `authorization` header. */
  readonly identify: (authorization: string | undefined) => Caller;
}

/** The wiring of one RPC: from request to response, both as the generated code has them. */
export interface Rpc<Request, Response> {
  readonly answer: (call: Call, request: Request) => Promise<Response>;
}

/** An RPC whose request is checked by `schema` before `run` sees it. */
export function rpc<S extends z.ZodType, Response>(
  schema: S,
  run: (call: Call, input: z.output<S>) => Promise<Response>,
): Rpc<z.input<S>, Response> {
  return { answer: (call, request) => run(call, parse(schema, request)) };
}

/**
 * Lets grpc-js call an RPC that answers with a promise. Without this, a rejection would go unhandled and an error without a code would
 * be sent as UNKNOWN with its message.
 *
 * The request arrives undecoded, so that bytes that are no such message are the caller's mistake (INVALID_ARGUMENT) and not, as
 * grpc-js has it, INTERNAL.
 */
export function unaryHandler<Request, Response>(
  method: MethodDefinition<Request, Response>,
  { answer }: Rpc<Request, Response>,
  runtime: Runtime,
): handleUnaryCall<Buffer, Response> {
  return (grpcCall, callback) => {
    const abort = new AbortController();
    const onCancelled = () => abort.abort();
    grpcCall.on('cancelled', onCancelled);
    if (grpcCall.cancelled) abort.abort();
    const call = createCall(grpcCall, abort.signal, runtime);
    // grpc-js emits `cancelled` after a normal answer, too: disarm first, or the answer would abort itself.
    const disarm = () => grpcCall.off('cancelled', onCancelled);

    Promise.resolve()
      .then(() => answer(call, decode(method, grpcCall.request)))
      .then(
        (response) => {
          disarm();
          callback(null, response);
        },
        (error: unknown) => {
          disarm();
          fail(error, grpcCall, call, runtime, callback);
        },
      );
  };
}

function createCall(grpcCall: ServerUnaryCall<Buffer, unknown>, signal: AbortSignal, { em, now, identify }: Runtime): Call {
  const authorization = grpcCall.metadata.get('authorization')[0];
  return {
    em: em.fork({ signal, inflightQueryAbortStrategy: 'cancel query' }),
    signal,
    requestId: requestIdOf(grpcCall.metadata),
    caller: identify(typeof authorization === 'string' ? authorization : undefined),
    now,
    uncancelled: () => em.fork(),
  };
}

function decode<Request, Response>(method: MethodDefinition<Request, Response>, bytes: Buffer): Request {
  if (bytes.length > MAX_REQUEST_BYTES) {
    throw new IdentityError({
      code: 'INVALID_ARGUMENT',
      reason: 'MESSAGE_TOO_LARGE',
      message: `the request has ${bytes.length} bytes, more than ${MAX_REQUEST_BYTES}`,
      metadata: { limit_bytes: String(MAX_REQUEST_BYTES) },
    });
  }
  try {
    return method.requestDeserialize(bytes);
  } catch (cause) {
    throw new IdentityError({ code: 'INVALID_ARGUMENT', reason: 'MALFORMED_MESSAGE', message: 'the request cannot be decoded', cause });
  }
}

function fail<Response>(
  thrown: unknown,
  grpcCall: ServerUnaryCall<Buffer, Response>,
  call: Call,
  { constraints, log }: Runtime,
  callback: sendUnaryData<Response>,
): void {
  const deadlinePassed = Number(grpcCall.getDeadline()) <= Date.now();
  const error = translate(thrown, { signal: call.signal, deadlinePassed }, constraints);
  log.failedCall(error, { rpc: grpcCall.getPath(), requestId: call.requestId });
  callback(toGrpcStatus(error, call.requestId));
}
