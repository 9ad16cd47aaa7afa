import type { handleUnaryCall, MethodDefinition, ServerUnaryCall, sendUnaryData } from '@grpc/grpc-js';
import type { EntityManager } from '@mikro-orm/postgresql';
import type { z } from 'zod';
import { IdentityError, type StatusName } from '../errors.ts';
import { type Access, authorize } from './access.ts';
import { ANONYMOUS, type Call, type Caller } from './call.ts';
import type { Log } from './log.ts';
import { addressOf, dnsNamesOf } from './peer.ts';
import { requestIdOf } from './request-id.ts';
import { type ConstraintErrors, toGrpcStatus, translate } from './status.ts';
import { parse } from './validation.ts';

/** Requests larger than this are refused; none of the messages of the API comes near it. */
export const MAX_REQUEST_BYTES = 256 * 1024;

/** A call without a deadline gets this one: nobody waits for ever, so no work may go on for ever. */
const DEFAULT_DEADLINE_MS = 10_000;

/** A call that ends so before its use case was refused for who made it. */
const REFUSALS: ReadonlySet<StatusName> = new Set(['UNAUTHENTICATED', 'PERMISSION_DENIED']);

/** What a call says about who makes it. */
export interface Credentials {
  readonly authorization: string | undefined;
  /** DNS names in the client certificate, if our CA has signed it. */
  readonly certificateNames: readonly string[];
}

/** What every call needs and no feature knows. */
export interface Runtime {
  readonly em: EntityManager;
  readonly now: () => Date;
  readonly log: Log;
  readonly constraints: ConstraintErrors;
  /** Who may call which RPC, by its path. */
  readonly access: ReadonlyMap<string, Access>;
  /** Who makes a call; throws where the credentials are not valid. */
  readonly identify: (em: EntityManager, credentials: Credentials) => Promise<Caller>;
  /** Throws where the caller calls too often. */
  readonly limit: (call: Call) => Promise<void>;
  /** Writes down that a call was refused for who made it. */
  readonly refused: (call: Call, rpc: string, error: IdentityError) => void;
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
    const end = endOf(grpcCall);
    const call = anonymousCall(grpcCall, end.signal, runtime);
    serve(endpoint, runtime, call, grpcCall).then(
      (response) => {
        end.disarm();
        callback(null, response);
      },
      (error: unknown) => {
        end.disarm();
        fail(error, grpcCall, call, end.deadlinePassed(), runtime, callback);
      },
    );
  };
}

/** Caller, permission, validation, use case: in this order, so that a refusal tells nothing about what the request names (AIP-211). */
async function serve<Request, Response>(
  { method, access, rpc }: Endpoint<Request, Response>,
  runtime: Runtime,
  anonymous: Call,
  grpcCall: ServerUnaryCall<Buffer, Buffer>,
): Promise<Buffer> {
  let request: Request | undefined;
  const decoded = () => {
    request ??= decode(method, grpcCall.request);
    return request;
  };
  const call = await admit(access, runtime, anonymous, grpcCall, decoded);
  const response = await rpc.answer(call, decoded()).catch((error: unknown) => {
    // A use case refuses who would grant more than they have.
    if (error instanceof IdentityError && error.code === 'PERMISSION_DENIED') runtime.refused(call, grpcCall.getPath(), error);
    throw error;
  });
  return method.responseSerialize(response);
}

async function admit(
  access: Access,
  runtime: Runtime,
  anonymous: Call,
  grpcCall: ServerUnaryCall<Buffer, unknown>,
  request: () => unknown,
): Promise<Call> {
  let call = anonymous;
  try {
    call = { ...anonymous, caller: await runtime.identify(anonymous.em, credentialsOf(grpcCall)) };
    authorize(access, call.caller, request);
  } catch (error) {
    // Not a request that could not be decoded, for one.
    if (error instanceof IdentityError && REFUSALS.has(error.code)) runtime.refused(call, grpcCall.getPath(), error);
    throw error;
  }
  await runtime.limit(call);
  return call;
}

function credentialsOf(grpcCall: ServerUnaryCall<Buffer, unknown>): Credentials {
  const authorization = grpcCall.metadata.get('authorization')[0];
  return {
    authorization: typeof authorization === 'string' ? authorization : undefined,
    certificateNames: dnsNamesOf(grpcCall.getAuthContext().sslPeerCertificate),
  };
}

function anonymousCall(grpcCall: ServerUnaryCall<Buffer, unknown>, signal: AbortSignal, { em, now }: Runtime): Call {
  return {
    em: em.fork({ signal, inflightQueryAbortStrategy: 'cancel query' }),
    signal,
    requestId: requestIdOf(grpcCall.metadata),
    caller: ANONYMOUS,
    peerAddress: addressOf(grpcCall.getPeer()),
    now,
    uncancelled: () => em.fork(),
  };
}

/** When the work for a call has to stop: the caller cancels, or its deadline passes, or ours where it has none. */
function endOf(grpcCall: ServerUnaryCall<Buffer, unknown>) {
  const abort = new AbortController();
  const onCancelled = () => abort.abort();
  grpcCall.on('cancelled', onCancelled);
  if (grpcCall.cancelled) abort.abort();
  const deadline = Number(grpcCall.getDeadline());
  let oursPassed = false;
  const onOurDeadline = () => {
    oursPassed = true;
    abort.abort();
  };
  const timer = Number.isFinite(deadline) ? undefined : setTimeout(onOurDeadline, DEFAULT_DEADLINE_MS);
  return {
    signal: abort.signal,
    // Ours is asked of its timer: that may go off a moment before the clock on the wall gets there.
    deadlinePassed: () => oursPassed || deadline <= Date.now(),
    // grpc-js emits `cancelled` after a normal answer, too: disarm first, or the answer would abort itself.
    disarm() {
      clearTimeout(timer);
      grpcCall.off('cancelled', onCancelled);
    },
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

function fail(
  thrown: unknown,
  grpcCall: ServerUnaryCall<Buffer, Buffer>,
  call: Call,
  deadlinePassed: boolean,
  { constraints, log }: Runtime,
  callback: sendUnaryData<Buffer>,
): void {
  const error = translate(thrown, { signal: call.signal, deadlinePassed }, constraints);
  log.failedCall(error, { rpc: grpcCall.getPath(), requestId: call.requestId });
  callback(toGrpcStatus(error, call.requestId));
}
