import type { handleBidiStreamingCall, handleUnaryCall, Metadata } from '@grpc/grpc-js';
import { readTraceParent, type TraceParent } from '../observability/tracing/trace-parent.ts';
import type { CallOutcome, CallSpan, RemoteParent, Tracer } from '../observability/tracing/tracer.ts';
import type { ServerCall } from './open-call.ts';
import { addressOf } from './peer.ts';
import { requestIdOf } from './request-id.ts';

const OK = 0;
const UNKNOWN = 2;

/** The caller's span, if it names exactly one, and properly. */
export function traceParentOf(metadata: Metadata): TraceParent | undefined {
  const [header, another] = metadata.get('traceparent');
  return typeof header === 'string' && another === undefined ? readTraceParent(header) : undefined;
}

/** The same handler, with a span for each call that is recorded. */
export function tracedUnary(handler: handleUnaryCall<Buffer, Buffer>, path: string, tracer: Tracer): handleUnaryCall<Buffer, Buffer> {
  const begin = beginner(path, tracer);
  return (call, callback) => {
    const span = begin(call);
    if (!span) return handler(call, callback);
    span.run(() =>
      handler(call, (...answer) => {
        span.end(outcomeOf(answer[0]));
        callback(...answer);
      }),
    );
  };
}

export function tracedStream(
  handler: handleBidiStreamingCall<Buffer, Buffer>,
  path: string,
  tracer: Tracer,
): handleBidiStreamingCall<Buffer, Buffer> {
  const begin = beginner(path, tracer);
  return (stream) => {
    const span = begin(stream);
    if (!span) return handler(stream);
    stream.once('error', (error) => span.end(outcomeOf(error)));
    stream.once('finish', () => span.end({ code: OK }));
    span.run(() => handler(stream));
  };
}

function beginner(path: string, tracer: Tracer): (call: ServerCall) => CallSpan | undefined {
  const begin = tracer.forRpc(path);
  return (call) =>
    begin(tracer.takesOver ? remoteParentOf(call.metadata) : undefined, () => ({
      'identity.request_id': requestIdOf(call.metadata),
      'network.peer.address': addressOf(call.getPeer()),
    }));
}

function remoteParentOf(metadata: Metadata): RemoteParent | undefined {
  const parent = traceParentOf(metadata);
  if (!parent) return undefined;
  const state = metadata.get('tracestate').join(',');
  return { ...parent, state: state === '' ? undefined : state };
}

/** Handlers fail with a GrpcStatus (status.ts). */
function outcomeOf(failure: unknown): CallOutcome {
  if (failure === null || failure === undefined) return { code: OK };
  const { code = UNKNOWN, reason } = failure as { readonly code?: number; readonly reason?: string };
  return { code, reason };
}
