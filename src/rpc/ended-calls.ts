import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { ServerHttp2Stream } from 'node:http2';
import { Duplex } from 'node:stream';
import { Metadata, type ServerUnaryCall } from '@grpc/grpc-js';

/*
 * V8 puts a closure that is assigned to a property into the old generation at once, because most of those are methods. A writable stream of
 * Node makes one for itself (`onwrite`), which knows the stream; and a unary call has two such streams, one of HTTP/2 and the object that
 * grpc-js gives to its handler. So all that can be reached from these two stays until the next full collection, however long the
 * call is over: a fifth of what a call allocates, for which V8 collects late and lets the heap grow to four times of what is alive. The two
 * streams cannot be helped, what they hold can: it is taken from them, and what must be there is shared by all that are over.
 *
 * None of this is public; where Node or grpc-js do not have it (any more), the garbage stays for longer, and a test fails.
 */

type GrpcCall = ServerUnaryCall<Buffer, Buffer>;

interface HiddenStream {
  _readableState?: unknown;
  _writableState: unknown;
  _events: unknown;
  _eventsCount: number;
}

/** A stream that has ended: what still asks one of those that share its state is told so. */
const OVER = new Duplex().destroy() as unknown as HiddenStream;
const NO_BYTES = Buffer.alloc(0);
const NO_METADATA = new Metadata();

/** Takes from a call that is over what it holds on to: the request, the headers, and what grpc-js knows about it. */
export function releaseCall(grpcCall: GrpcCall): void {
  const held = grpcCall as { -readonly [Key in 'request' | 'metadata']: GrpcCall[Key] };
  held.request = NO_BYTES;
  held.metadata = NO_METADATA;
  const hidden = grpcCall as unknown as HiddenStream & { call: unknown; pendingStatus: unknown; trailingMetadata: unknown };
  hidden.call = undefined;
  hidden.pendingStatus = undefined;
  hidden.trailingMetadata = undefined;
  hidden._writableState = OVER._writableState;
  forgetListeners(hidden);
}

/** From now on, streams of HTTP/2 that are closed hold nothing any more. Older versions of Node do not tell of them. */
export function releaseClosedStreams(): void {
  unsubscribe(CLOSED, releaseSoon);
  subscribe(CLOSED, releaseSoon);
}

const CLOSED = 'http2.server.stream.close';

let closed: ServerHttp2Stream[] = [];

/** Whoever waits for the stream to be closed is told in this turn of the event loop. */
function releaseSoon(message: unknown): void {
  const { stream } = message as { readonly stream: ServerHttp2Stream };
  if (closed.push(stream) === 1) setImmediate(releaseClosed);
}

function releaseClosed(): void {
  const streams = closed;
  closed = [];
  for (const stream of streams) {
    // One that still has something to write is left to V8.
    if (stream.destroyed) release(stream);
  }
}

function release(stream: ServerHttp2Stream): void {
  forget(stream, 'sentHeaders');
  forget(stream, 'sentTrailers');
  const hidden = stream as unknown as HiddenStream;
  hidden._readableState = OVER._readableState;
  hidden._writableState = OVER._writableState;
  forgetListeners(hidden);
}

/** Makes it an emitter that nobody has listened to yet. */
function forgetListeners(hidden: HiddenStream): void {
  hidden._events = undefined;
  hidden._eventsCount = 0;
}

type Sent = 'sentHeaders' | 'sentTrailers';

/** Under which key a stream keeps what it has sent: found by what is there. */
const KEYS: Partial<Record<Sent, symbol>> = {};

function forget(stream: ServerHttp2Stream, sent: Sent): void {
  const headers = stream[sent];
  if (headers === undefined) return;
  const values = stream as unknown as Record<symbol, unknown>;
  const key = KEYS[sent] ?? Object.getOwnPropertySymbols(stream).find((symbol) => values[symbol] === headers);
  if (key === undefined) return;
  KEYS[sent] = key;
  values[key] = undefined;
}
